"""A panel on Redis: what a Celery worker does is shown, and so is a server that goes away."""

# ruff: noqa: F811  (fixtures that take fixtures)

import pytest

from tests.celery.workers import Session, Worker, distribution  # noqa: F401  (a fixture)
from tests.storages.redis_servers import redis_server  # noqa: F401  (a fixture)

pytestmark = pytest.mark.long


def test_what_a_worker_does_is_shown_and_a_lost_server_heals(
    lab, page, redis_server, distribution, tmp_path, monkeypatch
):
    monkeypatch.setenv("TRIGGERS_URL", redis_server.url)
    session = Session(redis_server, "order-17")
    session.configure(
        t_pack={"after": ["paid"], "run": "tests.Echo"}, t_ship={"after": ["t_pack", "label"], "run": "tests.Echo"}
    )
    worker = Worker(redis_server.url, distribution, tmp_path / "worker.log")
    try:
        cell = f"import triggers_nb as tnb\nws = tnb.connect({redis_server.url!r})\nws['order-17'].panel()"
        lab.run(page, "shared.ipynb", [cell])
        panel = page.locator(".tnb-panel")
        panel.locator(".tnb-refusal", has_text="read-only").wait_for()
        panel.locator(".tnb-tag", has_text="production").wait_for()
        worker.wait_for_log("ready")

        session.manager.fire("paid", {"amount": 20})
        panel.locator(".tnb-tr", has_text="t_pack#0").locator(".tnb-s-finished").wait_for()
        panel.locator(".tnb-tr", has_text="t_ship#0").locator(".tnb-s-unstarted").wait_for()

        redis_server.kill()
        panel.locator(".tnb-is-lost").wait_for()
        redis_server.start()
        panel.locator(".tnb-is-live").wait_for()
        session.manager.fire("label")
        panel.locator(".tnb-tr", has_text="t_ship#0").locator(".tnb-s-finished").wait_for()
    finally:
        worker.stop()
