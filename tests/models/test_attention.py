"""cuDNN's attention, which plans every shape anew, is kept out and let in again."""

import pytest
import torch

from isoglot.models.attention import attention_of_any_shape


@pytest.fixture
def allowed(request):
    before = torch.backends.cuda.cudnn_sdp_enabled()
    torch.backends.cuda.enable_cudnn_sdp(request.param)
    yield request.param
    torch.backends.cuda.enable_cudnn_sdp(before)


@pytest.mark.parametrize("allowed", [True, False], indirect=True)
def test_it_is_out_inside_and_afterwards_as_before(allowed):
    with attention_of_any_shape():
        assert not torch.backends.cuda.cudnn_sdp_enabled()
    assert torch.backends.cuda.cudnn_sdp_enabled() is allowed


@pytest.mark.parametrize("allowed", [True], indirect=True)
def test_an_error_inside_lets_it_in_again(allowed):
    with pytest.raises(RuntimeError), attention_of_any_shape():
        raise RuntimeError
    assert torch.backends.cuda.cudnn_sdp_enabled() is allowed
