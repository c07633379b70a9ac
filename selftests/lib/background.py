# SPDX-License-Identifier: GPL-2.0
"""What goes on beside a test, in processes of its own."""

import os
import signal
import traceback

import tap


class Background:
    """A process that does something for ever. If it is not at it when it is ended, the test has failed."""

    def __init__(self, what, run, *args):
        self.what = what
        self.pid = os.fork()
        if self.pid:
            return
        try:
            run(*args)
        except BaseException:  # pylint: disable=broad-except
            traceback.print_exc()
        finally:
            os._exit(1)

    def end(self):
        gone, _ = os.waitpid(self.pid, os.WNOHANG)
        if not gone:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        tap.ok(f"{self.what}: to the end", not gone)
