"""Nothing is skipped silently: a skip says why, and fails CI."""

from __future__ import annotations

import os

import pytest

_skipped: list[str] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without root no networks can be built: those tests say so and are skipped."""
    if os.geteuid() == 0:
        return
    for item in items:
        if item.get_closest_marker("netns"):
            item.add_marker(pytest.mark.skip(reason="builds network namespaces: run as root (sudo make test)"))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember what was skipped."""
    if report.skipped:
        _skipped.append(f"{report.nodeid}: {report.longrepr}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail CI for a skipped test: CI is root and has everything."""
    if _skipped and os.environ.get("CI"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say why CI fails."""
    if _skipped and os.environ.get("CI"):
        terminalreporter.write_line(f"{len(_skipped)} skipped tests fail CI, which could have run them", red=True)
