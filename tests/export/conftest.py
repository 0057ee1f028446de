"""Times are taken for a moment only; pages are served to a browser."""

import functools
import http.server
import shutil
import subprocess
import threading

import pytest

from nakami.export._web import PACKAGE


@pytest.fixture(autouse=True)
def short_times(monkeypatch):
    monkeypatch.setattr("nakami.export._latency.SECONDS", 0.01)


@pytest.fixture(scope="session")
def runtime(tmp_path_factory):
    """The archive of onnxruntime-web, fetched once."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed, which fetches onnxruntime-web")
    folder = tmp_path_factory.mktemp("npm")
    done = subprocess.run(
        (npm, "pack", "--silent", PACKAGE), cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"npm cannot fetch {PACKAGE} here: {done.stderr[-200:]}")
    return next(folder.glob("*.tgz"))


@pytest.fixture
def served(request):
    folder = request.getfixturevalue(request.param)
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    handler = functools.partial(quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture
def browser():
    sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("no chromium on this machine")
    with sync.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield launched
        launched.close()
