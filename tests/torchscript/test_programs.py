"""Programs that torch.jit has stored do what they do in torch.jit."""

import pytest

from tests.torchscript.alike import check
from tests.torchscript.programs import PROGRAMS


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PROGRAMS)
def test_function_gives_what_torch_jit_gives(name):
    function, calls = PROGRAMS[name]
    check(function, *calls)
