import pytest
import torch
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d

from tests.tolerances import rounding
from uvlp.networks.parts.layers import AdaptiveAveragePool, AveragePool, normalisation


@pytest.mark.parametrize("side_px", [2, 5, 7, 16])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_pooling_and_its_gradient_agree_with_torch(side_px: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(3, 4, side_px, side_px, generator=generator, dtype=dtype, requires_grad=True)
    expected = avg_pool2d(features, 2)
    upstream = torch.randn(expected.shape, generator=generator, dtype=dtype)
    found = AveragePool(side_px).to(dtype)(features)
    bound = rounding(2 * side_px + 1, dtype, largest=features.abs().max().item())
    torch.testing.assert_close(found, expected, rtol=0, atol=bound)
    gradients = [torch.autograd.grad(pooled, features, upstream)[0] for pooled in (found, expected)]
    torch.testing.assert_close(gradients[0], gradients[1])


def test_pooling_has_no_state() -> None:
    assert not AveragePool(8).state_dict()


@pytest.mark.parametrize("source_px", [1, 2, 6, 7, 9, 14, 30])
@pytest.mark.parametrize("side_px", [1, 6, 7])
def test_adaptive_pooling_by_matrices_agrees_with_torch(source_px: int, side_px: int) -> None:
    features = torch.randn(2, 3, source_px, source_px + 1, generator=torch.Generator().manual_seed(0))
    pool = AdaptiveAveragePool(side_px)
    expected = adaptive_avg_pool2d(features, side_px)
    assert torch.equal(pool(features), expected)
    rows, columns = (pool._bins(side, features.device) for side in features.shape[2:])
    torch.testing.assert_close(rows @ (features @ columns.T), expected)


def test_instance_norm_is_per_image_and_channel() -> None:
    features = torch.randn(3, 4, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mean = features.mean((2, 3), keepdim=True)
    variance = features.var((2, 3), correction=0, keepdim=True)
    found = normalisation("instance", 4).double()(features)
    torch.testing.assert_close(found, (features - mean) / (variance + 1e-5).sqrt())
