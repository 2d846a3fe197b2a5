"""Array operations of NumPy, SciPy, scikit-learn and Pillow."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from typing import Any

import numpy
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage, optimize, stats
from sklearn import cluster, datasets, metrics, model_selection, neighbors

from tests.processors.inputs import ODD_COUNT, array, image


def long(dtype: str = "float64") -> Any:
    return array(ODD_COUNT, dtype=dtype)


def table(rows: int = 67, columns: int = 45, seed: int = 0, dtype: str = "float64") -> Any:
    return array(rows, columns, seed=seed, dtype=dtype)


def unit(rows: int = 67, columns: int = 45, seed: int = 0) -> Any:
    points = table(rows, columns, seed, "float32")
    return points / numpy.linalg.norm(points, axis=1, keepdims=True)


def gram() -> Any:
    points = table()
    return points @ points.T


def random() -> numpy.random.Generator:
    return numpy.random.default_rng(7)


def state() -> numpy.random.RandomState:
    return numpy.random.RandomState(7)


def picture(mode: str = "RGB") -> Image.Image:
    channels = {"RGB": 3, "RGBA": 4}.get(mode, 1)
    pixels = image(channels=channels)
    return Image.fromarray(pixels if channels > 1 else pixels[:, :, 0])


def resized(resampling: Image.Resampling, side: int, mode: str = "RGB") -> Callable[[], object]:
    return lambda: numpy.asarray(picture(mode).resize((side, side), resampling))


def encoded(form: str, **options: Any) -> Callable[[], object]:
    def encode() -> bytes:
        file = io.BytesIO()
        picture().save(file, form, **options)
        return file.getvalue()

    return encode


def decoded(form: str) -> Callable[[], object]:
    def decode() -> object:
        return numpy.asarray(Image.open(io.BytesIO(encoded(form)())).convert("RGB"))  # type: ignore[arg-type]

    return decode


def drawn() -> object:
    canvas = picture()
    pen = ImageDraw.Draw(canvas)
    pen.ellipse((5, 5, 40, 30), fill="red", outline="white")
    pen.line((0, 0, 60, 44), fill="blue", width=3)
    return numpy.asarray(canvas)


def kmeans(points: Any) -> object:
    found = cluster.KMeans(5, n_init=3, random_state=3, algorithm="lloyd").fit(points)
    return found.cluster_centers_, found.labels_, found.inertia_


def minibatch() -> object:
    model = cluster.MiniBatchKMeans(5, n_init=3, random_state=3, batch_size=20)
    for part in numpy.array_split(table(), 3):
        model.partial_fit(part)
    return model.cluster_centers_


def outliers(points: Any) -> object:
    detector = neighbors.LocalOutlierFactor(n_neighbors=8, contamination=0.1)
    return detector.fit_predict(points), detector.negative_outlier_factor_


def binary() -> Any:
    return ndimage.binary_opening(image()[:, :, 0] > 90)


OPERATIONS: dict[str, Callable[[], object]] = {
    "numpy.sum": lambda: (long().sum(), long("float32").sum()),
    "numpy.mean, std, var": lambda: [
        f(x) for x in (long(), long("float32")) for f in (numpy.mean, numpy.std, numpy.var)
    ],
    "numpy.std ddof=1": lambda: table().std(axis=0, ddof=1),
    "numpy.mean over rows": lambda: (table().mean(axis=0), table(dtype="float32").mean(axis=1)),
    "numpy.mean float16 in float64": lambda: table(dtype="float16").mean(axis=0, dtype=numpy.float64),
    "numpy.average weighted": lambda: numpy.average(table(), axis=0, weights=abs(table()[:, 0]) + 1),
    "numpy.median, quantile": lambda: (numpy.median(long()), numpy.quantile(long(), [1 / 3, 2 / 3])),
    "numpy.percentile float32": lambda: numpy.percentile(long("float32"), [10, 33, 90]),
    "numpy.cumsum, cumprod": lambda: (numpy.cumsum(long("float32")), numpy.cumprod(1 + long()[:99] / 64)),
    "numpy.linspace, arange": lambda: (numpy.linspace(0, 1, 101), numpy.arange(0, 1, 0.07)),
    "numpy.argsort, unique, searchsorted": lambda: (
        numpy.argsort(long()),
        numpy.unique(long("float16"), return_inverse=True),
        numpy.searchsorted(numpy.sort(long()), table()[0]),
    ),
    "numpy.linalg.norm": lambda: (
        numpy.linalg.norm(table()),
        numpy.linalg.norm(table(dtype="float32"), axis=1),
    ),
    "numpy.matmul float64": lambda: table() @ table(seed=1).T,
    "numpy.matmul float32": lambda: table(dtype="float32") @ table(seed=1, dtype="float32").T,
    "numpy.matmul large": lambda: table(301, 257, dtype="float32") @ table(257, 130, seed=1, dtype="float32"),
    "numpy.matmul of its own transpose": gram,
    "numpy.matmul with a vector": lambda: table() @ table()[0],
    "numpy.dot": lambda: numpy.dot(long("float32"), long("float32")[::-1]),
    "numpy.einsum": lambda: (
        numpy.einsum("nd,nd->n", table(), table(seed=1)),
        numpy.einsum("nd,kd->nk", unit(), unit(9)),
    ),
    "numpy.tensordot": lambda: numpy.tensordot([0.299, 0.587, 0.114], array(3, 9, 7, dtype="float64"), 1),
    "numpy.linalg.eigh": lambda: numpy.linalg.eigh(gram()),
    "numpy.linalg.svd": lambda: numpy.linalg.svd(table(), full_matrices=False),
    "numpy.linalg.qr, solve": lambda: (
        numpy.linalg.qr(table()),
        numpy.linalg.solve(gram()[:9, :9], table()[:9]),
    ),
    "numpy.corrcoef, cov": lambda: (numpy.corrcoef(table().T), numpy.cov(table().T)),
    "numpy.histogram, bincount": lambda: (
        numpy.histogram(long(), 17),
        numpy.bincount(abs(long()).astype(int)),
    ),
    "numpy.random normal": lambda: random().normal(0, 0.1, 999),
    "numpy.random random, uniform": lambda: (random().random(999), random().uniform(-0.4, 0.4, 999)),
    "numpy.random beta, exponential": lambda: (random().beta(0.8, 0.8, 99), random().exponential(size=99)),
    "numpy.random permutation, permuted, integers, choice": lambda: (
        random().permutation(99),
        random().permuted(table(), axis=1),
        random().integers(0, 17, 99),
        random().choice(99, 20, replace=False),
    ),
    "numpy.random.RandomState": lambda: (
        state().randn(99),
        state().rand(99),
        state().permutation(99),
        state().choice(9, p=[1 / 9] * 9),
    ),
    "scipy.optimize.linear_sum_assignment": lambda: optimize.linear_sum_assignment(table(40, 40)),
    "scipy.ndimage.distance_transform_edt": lambda: ndimage.distance_transform_edt(binary()),
    "scipy.ndimage.label": lambda: ndimage.label(binary()),
    "scipy.stats.t, norm, binom": lambda: (
        stats.t.ppf(0.975, 4),
        stats.norm.sf(table()[0]),
        stats.binom.pmf(range(20), 19, 0.3),
    ),
    "sklearn.KMeans float64": lambda: kmeans(table()),
    "sklearn.KMeans float32": lambda: kmeans(unit()),
    "sklearn.KMeans of many dimensions": lambda: kmeans(table(60, 1_024)),
    "sklearn.MiniBatchKMeans": minibatch,
    "sklearn.LocalOutlierFactor float64": lambda: outliers(table()),
    "sklearn.LocalOutlierFactor float32": lambda: outliers(unit()),
    "sklearn.LocalOutlierFactor of many dimensions": lambda: outliers(table(60, 1_024)),
    "sklearn.pairwise_distances": lambda: metrics.pairwise_distances(table()),
    "sklearn.cosine_similarity": lambda: metrics.pairwise.cosine_similarity(table()),
    "sklearn.load_digits, train_test_split": lambda: model_selection.train_test_split(
        *datasets.load_digits(return_X_y=True), test_size=490, random_state=0
    ),
    "Pillow.resize nearest": resized(Image.Resampling.NEAREST, 37),
    "Pillow.resize box": resized(Image.Resampling.BOX, 16),
    "Pillow.resize bilinear": resized(Image.Resampling.BILINEAR, 16),
    "Pillow.resize bilinear larger": resized(Image.Resampling.BILINEAR, 112),
    "Pillow.resize bilinear grey": resized(Image.Resampling.BILINEAR, 32, "L"),
    "Pillow.resize bicubic": resized(Image.Resampling.BICUBIC, 37),
    "Pillow.resize lanczos": resized(Image.Resampling.LANCZOS, 37),
    "Pillow.convert": lambda: [
        numpy.asarray(picture().convert(mode)) for mode in ("L", "YCbCr", "HSV", "CMYK")
    ],
    "Pillow.alpha_composite": lambda: numpy.asarray(
        Image.alpha_composite(Image.new("RGBA", (61, 45), "white"), picture("RGBA"))
    ),
    "Pillow.rotate, blur": lambda: (
        numpy.asarray(picture().rotate(17, Image.Resampling.BILINEAR)),
        numpy.asarray(picture().filter(ImageFilter.GaussianBlur(1.5))),
    ),
    "Pillow.ImageDraw": drawn,
    "Pillow.save PNG": encoded("PNG"),
    "Pillow.save JPEG": encoded("JPEG"),
    "Pillow.open JPEG": decoded("JPEG"),
    "Pillow.open PNG": decoded("PNG"),
    "Pillow.open WEBP": decoded("WEBP"),
    "zlib.compress": lambda: zlib.compress(image(200, 200).tobytes()),
}
