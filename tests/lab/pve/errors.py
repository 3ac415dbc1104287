"""Errors as the API words them: a status code, a reason phrase, per-parameter texts."""


class ApiError(Exception):
    """An answer other than 200. `text` may have several lines; the first is the reason phrase."""

    def __init__(self, code, text, errors=None):
        super().__init__(text)
        self.code = code
        self.text = text.rstrip("\n")
        self.errors = errors


class TaskError(Exception):
    """Ends a worker; its text becomes the task's exit status."""


def param_error(**errors):
    return ApiError(400, "Parameter verification failed.",
                    {k.replace("__", "-"): v for k, v in errors.items()})


def bad_params(errors):
    return ApiError(400, "Parameter verification failed.", errors)


def fail(text):
    """The API's answer to nearly everything that goes wrong."""
    return ApiError(500, text)


def denied(path, privs):
    return ApiError(403, "Permission check failed (%s, %s)" % (path, "|".join(privs)))
