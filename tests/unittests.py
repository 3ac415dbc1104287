"""Runs the unittest files of one folder, a line per test: what a group of tests/run prints."""

import sys
import time
import unittest


class Lines(unittest.TestResult):
    """A line per test, its failure below it."""

    def __init__(self):
        super().__init__()
        self.passed = 0
        self.buffer = True  # what a passing test prints is of no interest
        self.began = 0.0

    def startTest(self, test):
        self.began = time.monotonic()
        super().startTest(test)

    def _line(self, word, test, more=''):
        name = test.id() if hasattr(test, 'id') else str(test)
        print(f'{word} {name}{more}', file=sys.__stdout__, flush=True)

    def _bad(self, test, text):
        self._line('not ok', test, '\n' + text.rstrip())

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1
        self._line('ok', test, f' ({time.monotonic() - self.began:.1f} s)')

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._line('skip', test, f': {reason}')

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._bad(test, self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self._bad(test, self.errors[-1][1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._bad(subtest, self._exc_info_to_string(err, subtest))

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self.passed += 1

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self._bad(test, 'passes, but is marked as failing')


def flat(suite):
    for one in suite:
        if isinstance(one, unittest.TestSuite):
            yield from flat(one)
        else:
            yield one


def run(folder, words):
    """All test_*.py in FOLDER, or the tests whose name holds one of WORDS. Returns the exit code."""
    sys.path.insert(0, folder)
    suite = unittest.TestSuite()
    for test in flat(unittest.defaultTestLoader.discover(folder)):
        if not words or any(word in test.id() for word in words):
            suite.addTest(test)
    result = Lines()
    suite.run(result)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    print(f'{result.passed} passed, {failed} failed, {len(result.skipped)} skipped')
    return 1 if failed or not result.testsRun else 0
