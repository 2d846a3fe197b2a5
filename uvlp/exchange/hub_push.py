"""Upload of an exported folder to a dataset repository of the hub, as one commit."""

from __future__ import annotations

import re
from pathlib import Path

from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.core.wording import first_few
from uvlp.exchange.export_folder import CARD, MANIFEST
from uvlp.models.published import hub, hub_errors

OWNED = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
OF_THE_HUB = (".gitattributes", CARD)
"""Files that a repository may have before anything is published in it."""


def check_repository(text: str) -> str:
    """Return ``OWNER/NAME``.

    Raises:
        UvlpError: it has another form.
    """
    if not OWNED.fullmatch(text) or not hub.REPOSITORY.fullmatch(text):
        raise UvlpError("--push needs a repository", got=text, allowed="OWNER/NAME, at most 96 characters")
    return text


def push(folder: Path, repository: str, progress: Progress) -> str:
    """Upload all files as one commit; a new repository is private. Return the commit.

    Files of an earlier export are replaced; the history of the repository keeps them.

    Raises:
        UvlpError: no token, no permission, no connection, or a repository with other files.
    """
    from huggingface_hub import HfApi, constants, get_token
    from huggingface_hub.utils import logging
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if constants.HF_HUB_OFFLINE:
        raise _kept(
            "nothing is uploaded: the hub's library is in offline mode", folder, "unset HF_HUB_OFFLINE"
        )
    if get_token() is None:
        raise _kept("no token for the hub", folder, "set HF_TOKEN to one that may write")
    logging.set_verbosity_error()
    disable_progress_bars()
    api = HfApi()
    try:
        api.create_repo(repository, repo_type="dataset", private=True, exist_ok=True)
        files = api.list_repo_files(repository, repo_type="dataset")
        others = [name for name in files if name not in OF_THE_HUB]
        if others and MANIFEST not in others:
            raise UvlpError(
                f"the repository {repository} holds other files",
                got=first_few(others),
                allowed="a new repository, or one of an earlier export",
                fix=f"name another one; the folder is kept: {folder}",
            )
        progress.log(f"uploading {sum(path.is_file() for path in folder.rglob('*'))} files")
        made = api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            repo_type="dataset",
            commit_message=f"Publish {folder.name}",
            delete_patterns=["*"] if others else None,
        )
    except UvlpError:
        raise
    except Exception as error:
        raise _explained(error, repository, folder) from error
    return str(made.oid)


def _kept(what: str, folder: Path, fix: str) -> UvlpError:
    return UvlpError(what, got=str(folder), fix=f"{fix}; the folder is kept: re-run the command to upload it")


def _explained(error: Exception, repository: str, folder: Path) -> UvlpError:
    from huggingface_hub import constants

    status = hub_errors.status(error)
    kept = f"the folder is kept: {folder}; re-run the command to upload it"
    if status in (401, 403):
        what = f"{constants.ENDPOINT} refuses the upload"
        fix = f"check OWNER, and that HF_TOKEN may write there; {kept}"
        return UvlpError(what, got=f"{repository}, status {status}", fix=fix)
    if hub_errors.has_no_connection(error):
        return UvlpError(
            f"no connection to {constants.ENDPOINT}", got=repository, fix=f"check the network; {kept}"
        )
    if hub_errors.is_page(error):
        what = f"the response of {constants.ENDPOINT} is not that of a hub, but e.g. a log-in page"
        fix = f"log in to the network or its proxy, or correct HF_ENDPOINT; {kept}"
        return UvlpError(what, got=f"{repository}: {hub_errors.line(error)}", fix=fix)
    return UvlpError(f"{repository} cannot be uploaded: {hub_errors.line(error)}", fix=kept)
