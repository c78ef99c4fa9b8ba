"""What leaves the process: secrets and personal data become ``[redacted:<keyed hash>]``.

Values under a key that looks like a secret or personal data are replaced whole; in text only the secret itself is
replaced, so that log lines and tracebacks stay readable. Equal values get equal markers as long as the key is the
same. Pure standard library: no I/O, no network, no look at anything but the argument.

Examples
--------
>>> from triggers_nb.redaction import Redactor
>>> redact = Redactor(key=b"0123456789abcdef")
>>> redact.text("login of ada@example.org failed: password=hunter2, attempt 3")
'login of [redacted:335c065e11d1] failed: password=[redacted:31636366e7a0], attempt 3'
>>> redact.value({"tail": "N338AA", "password": "hunter2"})
{'tail': 'N338AA', 'password': '[redacted:31636366e7a0]'}
"""

from __future__ import annotations

from triggers_nb.redaction.markers import contains_marker
from triggers_nb.redaction.redactor import Redactor
from triggers_nb.redaction.urls import safe_url

__all__ = ["Redactor", "contains_marker", "safe_url"]
