"""The `gateway` command whose `doctor` waits as long as it must: ``python -m tests.support.patient_doctor doctor``."""

from __future__ import annotations

import pytest

from gateway.cli import main
from tests.support.examining import be_patient

if __name__ == "__main__":
    be_patient(pytest.MonkeyPatch())
    main()
