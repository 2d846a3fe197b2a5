"""Plans: shared inputs, keys that survive new settings, and pinned defaults."""

import ast
from collections import Counter
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.other_packages import importable, install
from uvlp.artifacts.dataset import ClassInfo, DatasetManifest, DatasetSpec
from uvlp.artifacts.task import chain
from uvlp.core import plugins
from uvlp.core.errors import UvlpError
from uvlp.datasets.digits import recipe
from uvlp.models.published.find import PARTS, LocalModel
from uvlp.pipeline.planning.contenders import Method, resolve_method, set_method
from uvlp.pipeline.planning.imagenet_labels import check_labels
from uvlp.pipeline.planning.planner import Planner
from uvlp.recipes import schema
from uvlp.recipes.evaluation import EvaluateSettings, RdedSettings, TeacherSettings
from uvlp.recipes.remarks import remarks
from uvlp.recipes.schema import CaptionSettings, FinetuneSettings, ModelSettings, Recipe, SynthesisSettings

PACKAGE = plugins.PACKAGE
MANIFEST = DatasetManifest(
    name="digits",
    argument="",
    variant="",
    classes=(ClassInfo(id="0", name="zero", index=0, train=20, val=5),),
    content_hash="abc",
    image_px=32,
    source="a test",
)
STAGE_SETTINGS: list[Any] = [
    value for value in vars(schema).values() if is_dataclass(value) and value is not schema.Recipe
]
METHODS = [plugins.load("methods", name) for name in plugins.names("methods")]


def planner(**changes: object) -> Planner:
    return Planner(
        recipe=replace(recipe(10), **changes),  # type: ignore[arg-type]
        manifest=MANIFEST,
        spec=DatasetSpec(name="digits"),
        find=lambda part: LocalModel(path=f"/models/{part}", sha256=part, source="a test", revision=""),
    )


def methods(*specs: str) -> list[Method]:
    return [resolve_method(spec, recipe(10)) for spec in specs]


def test_methods_share_common_inputs() -> None:
    table = planner().table(methods("vlcp", "uvlp", "d4m"))
    counts = Counter(task.title for task in chain(table))
    assert counts["diffuser, seed 0"] == counts["captions"] == counts["features of images, seed 0"] == 1


def test_coresets_need_no_diffuser_and_random_needs_no_model() -> None:
    stages = {task.plugin for task in chain(planner().table(methods("herding")))}
    assert "diffuser" not in stages and "embedder" in stages
    assert {task.stage for task in chain(planner().table(methods("random")))} == {
        "synthesise",
        "pixels",
        "evaluate",
        "tabulate",
    }


def test_published_models_enter_keys_by_content() -> None:
    here = planner(pretrained=True, caption=CaptionSettings(captioner="llava"))
    d4m, uvlp = (here.distilled(method, 0) for method in methods("d4m", "uvlp"))
    assert d4m.origins == {"diffuser": "/models/diffusion"} and "diffuser" not in d4m.inputs
    tuned = uvlp.inputs["diffuser"]
    assert (tuned.plugin, tuned.origins) == ("stable-diffusion", {"diffusion": "/models/diffusion"})
    assert tuned.inputs["captions"].origins == {"llava": "/models/llava"}
    images = uvlp.inputs["prototypes"].inputs["images"]
    assert images.origins == {"embedder": "/models/clip", "autoencoder": "/models/autoencoder"}
    assert images.key == here.features("images", 1).key, "no published model depends on the seed"
    moved = replace(here, find=lambda part: LocalModel(path="/x", sha256=part, source="", revision=""))
    assert moved.distilled(methods("uvlp")[0], 0).key == uvlp.key
    other = replace(here, find=lambda part: LocalModel(path="/x", sha256="other", source="", revision=""))
    assert other.features("images", 0).key != images.key


def test_d4m_as_published_needs_no_captions() -> None:
    here = planner(pretrained=True, caption=CaptionSettings(captioner="llava"))
    d4m, vlcp = ({task.stage for task in chain(here.distilled(one, 0))} for one in methods("d4m", "vlcp"))
    assert d4m == {"embed", "prototype", "synthesise"} and vlcp == d4m | {"caption", "encode", "finetune"}


def test_fine_tunings_of_all_seeds_share_latents_that_are_not_in_their_keys() -> None:
    here = planner(pretrained=True)
    one, other = here.finetuned(0), here.finetuned(1)
    latents = one.inputs["latents"]
    assert latents.key == other.inputs["latents"].key and one.key != other.key
    assert replace(one, inputs=one.hashed, unhashed=()).key == one.key
    without = planner(pretrained=True, finetune=FinetuneSettings(cache_latents=False)).finetuned(0)
    assert set(without.inputs) == {"captions"} and not without.unhashed
    assert latents.facts["models"] == {"autoencoder": "autoencoder"}, "not the whole pipeline"


def test_finetuned_model_of_the_user_replaces_finetuning() -> None:
    here = planner(pretrained=True, models=ModelSettings(finetuned="/mine"))
    d4m, uvlp = (here.distilled(method, 0) for method in methods("d4m", "uvlp"))
    assert "diffuser" not in uvlp.inputs and set(uvlp.origins) == set(d4m.origins) == {"diffuser"}


def test_features_of_a_network_replace_those_of_clip() -> None:
    here = planner(method={"herding": {"features": "network"}})
    (herding,) = (resolve_method("herding", here.recipe),)
    stages = {task.stage for task in chain(here.distilled(herding, 0))}
    assert stages == {"pixels", "represent", "synthesise"}
    with pytest.raises(UvlpError) as caught:
        here.distilled(resolve_method("herding", Recipe(method={"herding": {"features": "x"}})), 0)
    assert (caught.value.got, caught.value.allowed) == ("x", "embedding, network")


def test_inputs_precede_their_consumers() -> None:
    seen: set[str] = set()
    for task in chain(planner().table(methods("uvlp", "full"))):
        assert all(earlier.key in seen for earlier in task.inputs.values())
        seen.add(task.key)


def test_images_of_full_depend_neither_on_ipc_nor_on_the_seed() -> None:
    full = methods("full")[0]
    assert planner().distilled(full, 0).key == planner(ipc=5).distilled(full, 1).key
    here, images = planner(), planner().distilled(full, 0)
    first, second = (here.score(full, "convnet-3", seed, 1, images) for seed in (0, 1))
    assert first.key != second.key


def test_additional_repeat_keeps_the_keys_of_others() -> None:
    three = {task.key for task in chain(planner(repeats=3).table(methods("random"))) if task.kind == "scores"}
    four = {task.key for task in chain(planner(repeats=4).table(methods("random"))) if task.kind == "scores"}
    assert three < four and len(four) == 4


def test_variant_changes_only_its_own_stage() -> None:
    plain_uvlp, variant = methods("uvlp", "uvlp:no-outliers")
    here = planner()
    assert here.prototypes(plain_uvlp, 0).key != here.prototypes(variant, 0).key
    assert here.prototypes(plain_uvlp, 0).inputs.keys() == here.prototypes(variant, 0).inputs.keys()
    assert variant.title == "UVLP (no-outliers)"


def test_unknown_variant_lists_the_known_ones() -> None:
    with pytest.raises(UvlpError) as caught:
        methods("uvlp:alpha=free")
    assert caught.value.got == "uvlp:alpha=free" and "uvlp:alpha=fixed" in str(caught.value.allowed)


def test_table_has_the_notes_that_apply() -> None:
    notes = {"minimax": "short schedule", "rded": "small teacher"}
    here = planner(
        protocol_notes=notes, models_note="under-trained", note="nano", evaluate=EvaluateSettings()
    )
    assert here.table(methods("random")).facts["notes"] == ["short schedule", "nano"]
    assert here.table(methods("random", "uvlp")).facts["notes"] == ["short schedule", "under-trained", "nano"]
    soft = planner(protocol_notes=notes, protocol="rded", networks=("conv3",))
    assert soft.table(methods("random")).facts["notes"][0] == "small teacher"


def test_table_lists_changed_evaluation_settings() -> None:
    evaluate = EvaluateSettings(epochs=7, precision="bfloat16")
    here = planner(protocol_notes={}, evaluate=evaluate, rded=RdedSettings(factor=2))
    (note,) = here.table(methods("random")).facts["notes"]
    assert note == (
        "settings that are not the minimax protocol's: evaluate.epochs=7, evaluate.precision=bfloat16"
    )
    teacher = TeacherSettings(source="/somewhere/conv3.pth")
    soft = Recipe(protocol="rded", rded=RdedSettings(flip=0.0), teacher=teacher)
    (note,) = remarks(soft, {"rded": soft.rded, "teacher": teacher}, {})
    assert note == "settings that are not the rded protocol's: rded.flip=0.0, teacher.source=conv3.pth"


def test_table_lists_differing_synthesis_settings() -> None:
    of_all = {"steps": 20, "strength": 0.5, "guidance": 2.0}
    quiet = {"evaluate": EvaluateSettings(), "protocol_notes": {}}
    here = planner(synthesis=of_all, **quiet)
    made = [resolve_method(name, here.recipe) for name in ("random", "d4m", "vlcp", "uvlp")]
    assert not here.table(made).facts["notes"]
    one = {"uvlp": {"synthesis": {"guidance": 3.0}}}
    other = planner(synthesis=of_all, method=one, **quiet)
    made = [resolve_method(name, other.recipe) for name in ("random", "d4m", "vlcp", "uvlp")]
    (note,) = other.table(made).facts["notes"]
    assert note.endswith("D4M, VLCP: guidance=2.0; UVLP: guidance=3.0")


def test_synthesis_settings_of_a_recipe_apply_to_every_method(tmp_path: Path) -> None:
    """Including methods of other packages."""
    text = "REVISION = 1\nTITLE = 'Mine'\ndef prototypes(inputs, settings, progress): ...\n"
    install(tmp_path, "mine", {"mine_alone.py": text}, {"methods": {"mine": "mine_alone"}})
    of_digits = recipe(10)
    with importable(tmp_path):
        made = [resolve_method(name, of_digits).synthesis for name in ("mine", "d4m", "vlcp", "uvlp")]
    assert made == [replace(SynthesisSettings(), **of_digits.synthesis)] * 4


def test_every_setting_has_help_and_a_source() -> None:
    for settings in [*STAGE_SETTINGS, Recipe]:
        for field in fields(settings):
            by_name = field.name in ("synthesis", "method", "protocols", "protocol_notes")
            if not is_dataclass(field.default_factory) and not by_name:
                assert field.metadata["help"] and field.metadata["source"], field.name


def test_every_setting_is_used() -> None:
    # `models/published/find.py` reads these by the name of the part.
    read = {f"{part}{suffix}" for part in PARTS for suffix in ("", "_revision")}
    for path in PACKAGE.rglob("*.py"):
        if path.name == "schema.py":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        read |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for settings in [*STAGE_SETTINGS, *(method.Settings for method in METHODS)]:
        unread = [field.name for field in fields(settings) if field.name not in read]
        assert unread == [], settings.__name__


def test_a_profile_changes_the_settings_of_a_method_and_a_recipe_overrides_them() -> None:
    for profile, iterations in (("tiny", 1000), ("nano", 2), ("sd15", 20_001)):
        assert resolve_method("dm", replace(recipe(10), profile=profile)).settings.iterations == iterations
    set_here = replace(recipe(10), method={"dm": {"iterations": 5}})
    assert resolve_method("dm", set_here).settings.iterations == 5
    assert resolve_method("dm", set_here).settings.real_batch == 64


def test_a_network_too_deep_for_the_images_is_refused_in_the_plan() -> None:
    deep = resolve_method("dm", replace(recipe(10), method={"dm": {"network": "convnet-6"}}))
    with pytest.raises(UvlpError) as caught:
        planner().distilled(deep, 0)
    assert "convnet-6" in caught.value.what and "16 px" in caught.value.what


def test_models_of_one_seed_serve_all_distillation_seeds() -> None:
    own, shared = (planner(models_seed=seed, seeds=(0, 1)) for seed in (-1, 0))
    uvlp, herding, glad = methods("uvlp", "herding", "glad")
    for method in (uvlp, herding, glad):
        first, second = (shared.distilled(method, seed) for seed in (0, 1))
        models = [
            {t.key for t in chain(task) if t.kind in ("weights", "features")} for task in (first, second)
        ]
        assert models[0] == models[1] and first.key != second.key
        assert first.key == own.distilled(method, 0).key
        assert own.distilled(method, 1).key != second.key
    note = "models trained once, with seed 0, for all distillation seeds"
    assert note in shared.table([uvlp]).facts["notes"] and note not in own.table([uvlp]).facts["notes"]


def test_dit_reads_a_small_model_or_the_published_one_with_labels_of_imagenet() -> None:
    (dit,) = methods("dit")
    small = planner().distilled(dit, 3)
    model = small.inputs["transformer"]
    assert list(small.inputs) == ["transformer"] and list(model.inputs) == ["autoencoder"]
    assert "labels" not in small.facts and model.facts["seed"] == 3
    found = ("n01440764", "n15075141", "0")
    classes = tuple(ClassInfo(id=each, name=each, index=0, train=2, val=1) for each in found)
    here = replace(planner(pretrained=True), manifest=replace(MANIFEST, classes=classes))
    published = here.distilled(dit, 3)
    assert published.origins == {"transformer": "/models/dit"} and not published.inputs
    assert published.facts["models"] == {"transformer": "dit"}
    assert published.facts["labels"] == [0, 999, None]
    with pytest.raises(UvlpError) as caught:
        check_labels(published, here.manifest)
    assert caught.value.got == "1 other classes: 0" and "dit" in caught.value.what
    check_labels(small, here.manifest)


def test_glad_reads_the_vae_or_a_generator_with_labels_of_imagenet_in_every_profile() -> None:
    (vae,) = methods("glad")
    usual = planner().distilled(vae, 0)
    assert list(usual.inputs) == ["autoencoder"] and not usual.origins and "labels" not in usual.facts
    assert planner(pretrained=True).distilled(vae, 0).origins == {"autoencoder": "/models/autoencoder"}
    chosen = replace(recipe(10), method={"glad": {"prior": "stylegan-xl"}})
    generator = resolve_method("glad", chosen)
    for pretrained in (False, True):
        made = planner(pretrained=pretrained).distilled(generator, 0)
        assert made.origins == {"stylegan_xl": "/models/stylegan_xl"} and not made.inputs
        assert made.facts["models"] == {"stylegan_xl": "stylegan_xl"} and made.facts["labels"] == [None]
        with pytest.raises(UvlpError) as caught:
            check_labels(made, MANIFEST)
        assert "StyleGAN-XL" in caught.value.what and "glad.prior=vae" in str(caught.value.fix)

    def found_in(path: str) -> Planner:
        model = LocalModel(path=path, sha256="b", source="", revision="")
        return replace(planner(), find=lambda part: model)

    here, moved = found_in("/here"), found_in("/moved")
    keys = [each.distilled(generator, 0).key for each in (planner(), here, moved)]
    assert keys[0] != keys[1] == keys[2], "the content of the weights is in the key, their place is not"


def test_minimax_reads_a_fine_tuned_dit() -> None:
    (minimax,) = methods("minimax")
    small = planner().distilled(minimax, 3).inputs["difffit"]
    assert list(small.inputs) == ["transformer"] and not small.origins
    published = planner(pretrained=True).distilled(minimax, 3)
    tuned = published.inputs["difffit"]
    assert (published.origins, tuned.origins) == ({}, {"transformer": "/models/dit"})
    assert published.facts["labels"] == tuned.facts["labels"] == [None]
    assert tuned.facts["models"] == {"transformer": "dit"} and tuned.facts["seed"] == 3
    with pytest.raises(UvlpError) as caught:
        check_labels(published, MANIFEST)
    assert "minimax" in caught.value.what


def test_the_method_minimax_has_settings_besides_those_of_the_protocol() -> None:
    changed = set_method(recipe(10), "minimax", "guidance", "2.5")
    assert resolve_method("minimax", changed).settings.guidance == 2.5
    assert changed.evaluate == recipe(10).evaluate and not changed.protocols
