"""Taking a port: what cannot be listened at is said, and what to change."""

from __future__ import annotations

import re

import pytest

from clip_gaze.errors import GazeError
from clip_gaze.web.server import listening


@pytest.mark.parametrize("host", ["nope.invalid", "192.0.2.1"])
def test_a_host_that_is_not_this_machine_is_what_is_wrong(host: str) -> None:
    line = rf"{re.escape(host)}, port 0: cannot be served \(.+\); name another --host"
    with pytest.raises(GazeError) as caught, listening(host, 0):
        pass
    assert re.fullmatch(line, str(caught.value))


def test_a_port_that_is_taken_is_what_is_wrong() -> None:
    with listening("127.0.0.1", 0) as (_, address):
        line = rf"127\.0\.0\.1, port {address.port}: cannot be served \(.+\); choose another --port"
        with pytest.raises(GazeError) as caught, listening("127.0.0.1", address.port):
            pass
    assert re.fullmatch(line, str(caught.value))
