"""Ctrl-C: the process ends at once where there is nothing to undo; where there is, an exception undoes it.

Loads next to nothing: it has to be there before anything that takes time.
"""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False  # typing takes longer to load than all of this
if TYPE_CHECKING:
    from collections.abc import Callable

#: Exit code of shells for what Ctrl-C ended.
EXIT_CODE = 130
SENTENCE = "Interrupted: nothing that was not committed is kept."

#: How long Ctrl-C may take to be heard before what is running is cancelled, in seconds.
_PATIENCE_S = 0.2
#: What cancels the statements of the connections that are open.
_CANCELS: list[Callable[[], object]] = []


def _leave(number: int, frame: object) -> None:
    del number, frame
    os.write(2, f"{SENTENCE}\n".encode())
    os._exit(EXIT_CODE)


def leave_at_once() -> None:
    """Let Ctrl-C end the process without an exception from now on.

    While modules are loaded, or the process is ending, an exception would be shown with its traceback by whoever it
    happened to reach.  Who ignores Ctrl-C, as what runs in the background does, goes on to do so.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


class Cancelling:
    """Lets Ctrl-C cancel what blocks this process outside of Python within a ``with`` block: a statement.

    Parameters
    ----------
    cancel : callable
        Cancels it; called by another thread, and once more as long as that does not help.
    """

    def __init__(self, cancel: Callable[[], object]) -> None:
        self._cancel = cancel

    def __enter__(self) -> None:
        _CANCELS.append(self._cancel)

    def __exit__(self, *_: object) -> None:
        _CANCELS.remove(self._cancel)


class Undoing:
    """Lets Ctrl-C raise `KeyboardInterrupt` within a ``with`` block, if it would have ended the process before it.

    What comes out of the block after Ctrl-C is that, even if it met with other errors on its way, or with somebody
    who made another error of it.  Python raises it when a statement has ended: so that is cancelled.  Where that does
    not help, as with SQLite waiting for a lock, a second Ctrl-C ends the process at once.
    """

    def __enter__(self) -> None:
        self._pressed = False
        self._ours = signal.getsignal(signal.SIGINT) is _leave
        if self._ours:
            import threading

            reader, self._writer = os.pipe()
            os.set_blocking(self._writer, False)
            signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
            threading.Thread(target=self._watch, args=(reader,), daemon=True).start()
            signal.signal(signal.SIGINT, self._interrupt)

    def _interrupt(self, number: int, frame: object) -> None:
        self._pressed = True
        del number, frame
        raise KeyboardInterrupt

    def _watch(self, reader: int) -> None:
        """Wait for signals, in a thread of its own, and see to it that they are heard."""
        import select
        from contextlib import suppress

        while signals := os.read(reader, 1):
            if signals[0] != signal.SIGINT:
                continue
            while not self._pressed:
                if select.select([reader], [], [], _PATIENCE_S)[0]:
                    more = os.read(reader, 1)
                    if more and more[0] == signal.SIGINT and not self._pressed:
                        _leave(signal.SIGINT, None)
                    if not more:
                        break
                    continue
                for cancel in tuple(_CANCELS):
                    # A connection that is gone needs no cancelling.
                    with suppress(Exception):
                        cancel()
        os.close(reader)

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if self._ours:
            signal.signal(signal.SIGINT, _leave)
            signal.set_wakeup_fd(-1)
            os.close(self._writer)
        if self._pressed and isinstance(error, Exception):
            raise KeyboardInterrupt from error


class Deaf:
    """Lets processes that are started within a ``with`` block, and their own ones, never hear of Ctrl-C.

    A terminal sends it to all processes, and each would show a traceback; the one that started them ends the others.
    It hears of it at the end of the block, when what was being started is complete.
    """

    def __enter__(self) -> None:
        self._pressed = False
        # The mask is what processes inherit; here, any thread can take the signal, and this one has to act on it.
        self._handler = signal.getsignal(signal.SIGINT) if _is_main() else None
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._remember)
            self._wakeup = signal.set_wakeup_fd(-1)
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

    def _remember(self, number: int, frame: object) -> None:
        del number, frame
        self._pressed = True

    def __exit__(self, *_: object) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        if self._handler is not None:
            signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
            signal.signal(signal.SIGINT, self._handler)
        if self._pressed and callable(self._handler):
            self._handler(signal.SIGINT, None)


def _is_main() -> bool:
    """Return whether this is the thread that may say what signals do."""
    import threading

    return threading.current_thread() is threading.main_thread()
