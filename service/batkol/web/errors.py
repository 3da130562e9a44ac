"""Errors of the API: a sentence, and a status that shows whose fault it is. Clients that leave early get none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

import structlog
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.requests import ClientDisconnect

from batkol.quantity import quantity
from batkol.store.postgres.faults import DB_ERRORS, error_name, is_data_error, sqlstate
from batkol.store.postgres.remedies import remedy_of
from batkol.web.connections import ClosingReason

RETRY_AFTER_S: Final = 5
"""Value of `Retry-After`: within it a restarted Postgres is back, as a rule."""

CLIENT_CLOSED_REQUEST: Final = 499
"""nginx's status for a client that left before its request was read. It reaches no client, only a trace."""

_OVERTIME: Final = "57014"  # query_canceled: the server's statement_timeout

_OF_BODY: Final = {
    "json_invalid": "it is not JSON",
    "model_attributes_type": "it must be a JSON object, sent with `Content-Type: application/json`",
}
_OF_FIELD: Final = {"extra_forbidden": "there is no such parameter or field here"}
"""Plainer words than pydantic's, by its name of the fault."""

log = structlog.get_logger()


class ErrorMappingRoute(APIRoute):
    """A route whose refusals are sentences. What a database does that is away, slow or full becomes 503."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await handle(request)
            except RequestValidationError as error:
                raise HTTPException(422, sentence(error.errors())) from None
            except AnyHTTPException as error:
                raise _of_body(error) from None
            except DB_ERRORS as error:
                return refusal(error)

        return answered


def sentence(errors: Iterable[Any]) -> str:
    """Name the fault of a request, without repeating the request."""
    return "; ".join(_fault(error) for error in errors) + "."


def refuse_repeated(request: Request) -> None:
    """Refuse a parameter that is there twice: FastAPI takes the last value, and drops the others without a word.

    A dependency of routes whose parameters have one value each. Raises `HTTPException`.
    """
    counts = Counter(name for name, _ in request.query_params.multi_items())
    for name, count in counts.items():
        if count > 1:
            raise HTTPException(422, f"{_where((name,))}: it has {quantity(count, 'value')}, and takes one.")


def _of_body(error: AnyHTTPException) -> Exception:
    """Return what stands for a refusal of FastAPI's, which answers 400 to a body that it cannot read."""
    match error.__cause__:
        case ClientDisconnect() as left:
            return left
        case UnicodeDecodeError() as fault:
            return HTTPException(422, f"the body: it is not UTF-8 from byte {fault.start} on.")
        case RecursionError():
            return HTTPException(422, "the body: it is nested too deeply.")
        case ValueError():
            return HTTPException(422, "the body: it has a number of too many digits.")
    return error


def _fault(error: Any) -> str:
    kind: str = error["type"]
    if kind in _OF_BODY:
        return f"the body: {_OF_BODY[kind]}"
    return f"{_where(error['loc'])}: {_OF_FIELD.get(kind, error['msg'])}"


def _where(location: tuple[str | int, ...]) -> str:
    shown = ".".join(str(part) for part in location if part not in ("query", "path", "body"))
    return shown[:100].encode("utf-8", "replace").decode() or "the body"


def refusal(error: BaseException) -> JSONResponse:
    """Return what is answered to a fault of the database's."""
    if is_data_error(error):
        return JSONResponse({"detail": "Postgres cannot store one of the values."}, 422)
    fault = error_name(error)
    log.warning("[API] the database refused a query, or did not answer it", fault=fault, remedy=remedy_of(fault))
    if sqlstate(error) == _OVERTIME:
        detail = (
            "The database took longer over this query than the limit; ask for less (an agent, a number, a "
            "shorter time)."
        )
    else:
        detail = (
            f"The database cannot be read now: {fault}. Calls continue, and their records wait for the "
            "database; ask again."
        )
    return JSONResponse({"detail": detail}, 503, {"Retry-After": str(RETRY_AFTER_S)})


def expect_disconnects(app: FastAPI, closed: Callable[[ClosingReason], None]) -> None:
    """Have `app` answer nothing to clients that left before their request was read, and count them."""

    async def on_disconnect(_: Request, __: Exception) -> Response:
        closed(ClosingReason.LEFT)
        return Response(status_code=CLIENT_CLOSED_REQUEST)

    app.add_exception_handler(ClientDisconnect, on_disconnect)
