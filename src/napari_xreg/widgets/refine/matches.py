"""The figure of every result of a session, computed off the main thread, one after the other."""

from collections.abc import Callable
from dataclasses import dataclass

from napari_xreg.registration import Registration
from napari_xreg.session import Result, Session
from napari_xreg.widgets.jobs.lane import Lane
from napari_xreg.workflows import MatchRequest, match_request


@dataclass(frozen=True, eq=False)
class _Asked:
    registration: Registration
    request: MatchRequest

    def answer(self) -> tuple[Registration, float | None]:
        return self.registration, self.request.answer()


class Matches:
    """What is known of `workflows.match` for the results; see `of`.

    Parameters
    ----------
    session
        Whose results.
    on_news
        Called when another figure is known, or none is any more.
    """

    def __init__(self, session: Session, on_news: Callable[[], None]) -> None:
        self._session, self._on_news = session, on_news
        self._known: dict[int, tuple[Registration, float | None]] = {}
        self._lane = Lane(self._take, on_error=self._fail, name="Match of results")
        self._asked: Registration | None = None

    def of(self, registration: Registration) -> float | None:
        """The figure; None where it is not known, see `waiting`."""
        found = self._known.get(id(registration))
        return None if found is None else found[1]

    def waiting(self, result: Result) -> bool:
        """Whether its figure is still to come: it is never known where its CT or a radiograph is gone."""
        answered = id(result.registration) in self._known
        return not answered and match_request(self._session, result) is not None

    def renew(self) -> None:
        """CT, radiographs or masks changed: nothing is known any more."""
        self._known.clear()
        self._lane.drop()
        self._asked = None
        self._on_news()
        self.follow()

    def follow(self) -> None:
        """Ask for the next result whose figure is not known."""
        results = self._session.results.all
        there = {id(result.registration) for result in results}
        self._known = {key: known for key, known in self._known.items() if key in there}
        if self._asked is not None:
            return
        for result in reversed(results):
            if id(result.registration) in self._known:
                continue
            request = match_request(self._session, result)
            if request is not None:
                self._asked = result.registration
                self._lane.ask(_Asked(result.registration, request))
                return

    def close(self) -> None:
        """For good."""
        self._lane.close(wait_seconds=1.0)

    def _take(self, answer: tuple[Registration, float | None]) -> None:
        self._asked = None
        self._known[id(answer[0])] = answer
        self._on_news()
        self.follow()

    def _fail(self, _: Exception) -> None:
        """A figure is missing then; whatever is wrong with the CT, others say."""
        if self._asked is not None:
            self._take((self._asked, None))
