"""What both widgets have in common: requests in, state out, following, errors, twins."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

import anywidget
import traitlets
from IPython.display import display
from ipywidgets import widget_serialization

from triggers_nb.notebook.assets import read_script, read_styles
from triggers_nb.notebook.holds import hold, know_weakly, release
from triggers_nb.notebook.live import Follower
from triggers_nb.notebook.look import FleetLook, SessionLook
from triggers_nb.notebook.runs import Run
from triggers_nb.notebook.sheets import said_error
from triggers_nb.notebook.surface_logic import SurfaceLogic
from triggers_nb.notebook.table_widget import TableWidget
from triggers_nb.notebook.twin_display import TwinDisplay
from triggers_nb.render.board import cut
from triggers_nb.render.wording import printable

#: How often a follower says that the storage was reached.
ALIVE_EVERY_S: Final = 2.0

#: How often a bulk action says how far it is.
TELL_EVERY_S: Final = 0.5

#: A longer line of Python is shown in part.
MAX_PYTHON: Final = 10_000

_VIEW: Final = "application/vnd.jupyter.widget-view+json"


class SurfaceWidget(anywidget.AnyWidget):
    """Carries a `SurfaceLogic` to the screen, and what is done there back.

    It follows the storage from when it is displayed, until `close` or `stop` is called, or no page shows it any more.
    It lives as long as it can be reached, by a variable (IPython's ``Out`` and ``_`` are such) or on a page that shows
    it: there it can be used although no variable holds it.

    Attributes
    ----------
    last_error : Exception or None
        What went wrong last; None once something has gone right again.
    """

    _esm = read_script("elements.js", "sheet.js", "surface.js")
    _css = read_styles()

    kind = traitlets.Unicode("").tag(sync=True)
    bar = traitlets.Dict().tag(sync=True)
    live = traitlets.Dict().tag(sync=True)
    detail = traitlets.Unicode("").tag(sync=True)
    tabs: traitlets.List[Any] = traitlets.List().tag(sync=True)
    sheet = traitlets.Dict().tag(sync=True)
    last = traitlets.Dict().tag(sync=True)
    #: How far a bulk action is; empty: none is under way.
    progress = traitlets.Dict().tag(sync=True)
    error = traitlets.Unicode("").tag(sync=True)
    #: How many requests have been dealt with.
    handled = traitlets.Int(0).tag(sync=True)
    table = traitlets.Instance(TableWidget).tag(sync=True, **widget_serialization)

    def __init__(self, logic: SurfaceLogic, look: SessionLook | FleetLook, **traits: Any) -> None:
        self.logic = logic
        self.last_error: Exception | None = None
        self._lock = threading.RLock()
        self._views: set[str] = set()
        self._is_paused = self._is_closed = False
        self._lost: Exception | None = None
        self._alive_at = 0.0
        self._told_at = 0.0
        self._worker: threading.Thread | None = None
        super().__init__(live=_live("waiting"), **traits)
        self._follower = Follower(self, look)
        self._display = TwinDisplay(f"triggers-nb-{self.model_id}", self._twin)
        for widget in (self, *self._children()):
            know_weakly(widget)
        self.on_msg(lambda _widget, content, _buffers: self.request(content))
        self.publish_first()

    # Requests -----------------------------------------------------------------------------------------------------

    def request(self, message: Mapping[str, Any]) -> None:
        """Deal with what the user did; an error is shown, and kept in `last_error`."""
        with self._lock:
            try:
                self._do(message)
            except Exception as error:
                self._note_error(error)
            else:
                self._note_error(self.logic.sheet.problem)
            self._publish_safely()
            if not self._follower.is_alive:
                self._display.renew(at_once=True)
            self.handled += 1

    def _do(self, message: Mapping[str, Any]) -> None:
        request = message.get("do")
        if request == "seen":
            self._views -= set(map(str, message.get("gone", ())))
            self._views.add(str(message.get("view")))
            hold(self)
            self._follow()
        elif request in ("unseen", "left"):
            self._note_unseen(str(message.get("view")), is_gone=request == "unseen")
        elif request in ("pause", "resume"):
            getattr(self, request)()
        elif request == "execute":
            self._execute(message)
        else:
            self.logic.handle(message)

    def _note_unseen(self, view: str, *, is_gone: bool) -> None:
        """Note that a view is gone, or its page, which may come back when it is loaded again."""
        self._views.discard(view)
        if not self._views:
            self._follower.stop(0)
            if is_gone:
                release(self)

    # Executing ----------------------------------------------------------------------------------------------------

    def _execute(self, message: Mapping[str, Any]) -> None:
        """Do one step at once, and several in a thread: they can be watched, and stopped, while they are done."""
        run = self.logic.begin(message)
        if run is None:
            return
        if len(run.plan) > 1:
            self.progress = run.state()
            self._worker = threading.Thread(target=self._carry_out, args=(run,), name="triggers-nb-action", daemon=True)
            self._worker.start()
        else:
            self.logic.carry_out(run)

    def _carry_out(self, run: Run) -> None:
        run.execute(self._tell)
        with self._lock:
            try:
                self.logic.finish(run)
            except Exception as error:
                self._note_error(error)
            else:
                self._note_error(None)
            self._publish_safely()
            self.progress = {}

    def _tell(self, run: Run) -> None:
        """Show how far it is, twice a second; not while something else is being shown."""
        now = time.monotonic()
        if now - self._told_at >= TELL_EVERY_S and self._lock.acquire(blocking=False):
            try:
                self._told_at, self.progress = now, run.state()
            finally:
                self._lock.release()

    def _note_error(self, error: Exception | None) -> None:
        self.last_error = error
        is_shown = error is not None and error is not self.logic.sheet.problem
        self.error = printable(said_error(error, self.logic.redactor)) if is_shown and error is not None else ""

    # State --------------------------------------------------------------------------------------------------------

    def publish_first(self) -> None:
        """Make ready what is seen first: where it is, and the rows. The rest takes longer."""
        self.bar = self._bar()

    def publish(self) -> None:
        """Send what has changed."""
        self._display.note_change()
        logic, executed = self.logic, self.logic.executed
        with self.hold_sync():
            self.bar, self.detail, self.tabs = self._bar(), self._detail(), self._tabs()
            self.sheet = logic.sheet.state()
            if executed is not None:
                wrong = [printable(line) for line in executed.wrong]
                self.last = {
                    "python": _shown_line(printable(executed.python)),
                    "said": executed.said,
                    "is_clean": executed.is_clean,
                    "wrong": wrong,
                    "n_more": executed.n_more,
                }

    def _publish_safely(self) -> None:
        try:
            self.publish()
        except Exception as error:
            self._note_error(error)

    def _bar(self) -> dict[str, Any]:
        raise NotImplementedError

    def _detail(self) -> str:
        raise NotImplementedError

    def _tabs(self) -> list[dict[str, str]]:
        raise NotImplementedError

    # Following ----------------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Read the storage again, and show what has changed."""
        with self._lock:
            self.logic.refresh()
            self.publish()

    def note_lost(self, error: Exception) -> None:
        """Show that the storage cannot be reached."""
        with self._lock:
            self._lost = self.last_error = error
            self.live = _live("lost", said_error(error, self.logic.redactor))

    def note_alive(self) -> None:
        """Show that the storage was reached just now, every two seconds."""
        self._display.renew()
        if (run := self.logic.sheet.run) is not None:
            self._tell(run)  # the last steps, if the next one takes long
        now = time.monotonic()
        if self._lost is None and now - self._alive_at < ALIVE_EVERY_S:
            return
        with self._lock:
            self._alive_at = now
            if self.last_error is self._lost:
                self.last_error = None
            self._lost = None
            if self._follower.is_alive:
                self.live = _live("live")

    def pause(self) -> None:
        """Stop following, until `resume`."""
        self._is_paused = True
        self._follower.stop(0)  # the thread may wait for the lock that a request holds
        self.live = _live("paused")

    def resume(self) -> None:
        """Follow again."""
        self._is_paused = False
        self._follow()
        self.refresh()

    def stop(self) -> None:
        """Stop following for good: no thread is left."""
        self._is_closed = True
        self._follower.stop()
        self.live = _live("stopped")

    def close(self) -> None:
        """Stop following, end an action that is under way after its step, and remove the widget from all pages."""
        if hasattr(self, "_display"):
            self._end(5.0)
            self._display.renew(at_once=True)
        super().close()

    def _end(self, timeout_s: float) -> None:
        self._is_closed = True
        release(self)
        self._follower.stop(timeout_s)
        if self._worker is not None and self._worker is not threading.current_thread():
            self.logic.handle({"do": "stop"})
            self._worker.join(timeout_s)
        for child in self._children():
            child.close()

    def __del__(self) -> None:
        if hasattr(self, "_display"):
            self._end(0.0)  # garbage is collected at any moment: it waits for nothing
        super().close()

    def _children(self) -> list[Any]:
        return [self.table] if hasattr(self, "_follower") else []

    def _follow(self) -> None:
        if self._is_paused or self._is_closed:
            return
        self._alive_at = 0.0
        self._follower.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Twins --------------------------------------------------------------------------------------------------------

    def _twin(self) -> dict[str, str]:
        """The same facts as ``text/plain`` and ``text/html``."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return self._twin()["text/plain"]

    def _ipython_display_(self, **kwargs: Any) -> None:
        """Display the widget, and its twin, which a page that shows the widget hides.

        JupyterLab prefers a view whose model is gone to the HTML beside it: as an output of its own the twin is there
        when the notebook is opened again.
        """
        hold(self)
        self._follow()
        display({_VIEW: self._view()}, raw=True)  # type: ignore[no-untyped-call]
        with self._lock:
            self.publish()
        self._display.show()

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        hold(self)
        self._follow()
        with self._lock:
            self.publish()
        return {**self._twin(), _VIEW: self._view()}, {}

    def _view(self) -> dict[str, Any]:
        return {"version_major": 2, "version_minor": 0, "model_id": self.model_id}


def _shown_line(python: str) -> str:
    """A line of Python, but no megabytes in the widget's state, which is saved in the notebook."""
    if len(python) <= MAX_PYTHON:
        return python
    return f'# {cut(python, MAX_PYTHON)}\n# That is its beginning; ws.journal("python") has all of it.'


def _live(state: str, note: str = "") -> dict[str, Any]:
    return {"state": state, "at": int(time.time() * 1000), "note": printable(note)}
