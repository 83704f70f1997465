"""The description of the API is true: whatever it allows or forbids is answered as it says."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from clip_gaze.texts import phrases
from clip_gaze.web import forms
from clip_gaze.web.openapi import description
from demo.painter import paint
from samples import PATIENCE
from serving import Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemathesis import Case
    from schemathesis.schemas import BaseSchema

# How many questions of each kind are asked; a card with a map takes a second.
EXAMPLES = {
    "gaze": 15,
    "see": 5,
    "compare": 15,
    "card": 5,
    "find": 8,
    "prompt": 4,
    "lists": 1,
    "models": 1,
}


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(max_megapixels=0.01) as server:
        yield server


@pytest.fixture(scope="module")
def schema(served: Served) -> BaseSchema:
    import schemathesis

    for kind in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"):
        file = io.BytesIO()
        paint(0, 48).image.save(file, kind)
        schemathesis.openapi.media_type(f"image/{kind.lower()}", st.just(file.getvalue()))
    return schemathesis.openapi.from_url(f"http://{served.host}/openapi.json", timeout=PATIENCE)


def may_be_asked(case: Case) -> Case:
    """Make a question of schemathesis' one that the description's words allow."""
    if isinstance(case.body, dict) and case.path == "/api/compare":
        # It puts one picture where several are wanted, if it knows how to make a picture.
        case.body["image"] = [case.body["image"]] * 2
        # Two phrases may be one, in white space that does not count.
        assume(len({phrase.strip() for phrase in case.body.get("phrase", ["one", "two"])}) > 1)
    if isinstance(case.body, dict) and case.path == "/api/see" and "against" in case.body:
        asked = {phrase.strip() for phrase in case.body["phrase"]}
        assume(not {phrase.strip() for phrase in case.body["against"]} <= asked)
    if isinstance(case.body, dict) and case.path == "/api/find":
        case.body |= {"like": [0]} if "like" in case.body else {}
        asked, other = (case.body.get(name, []) for name in ("phrase", "without"))
        assume(not {each.strip() for each in asked} & {each.strip() for each in other})
    if isinstance(case.body, dict) and case.path == "/api/prompt":
        # Words that fill what the model reads leave no room; short texts are in every phrase.
        case.body.pop("without", None)
        assume(len(case.body.get("with", "")) < 20)
    return case


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_every_answer_is_as_described(schema: BaseSchema, name: str, mode: str) -> None:
    from schemathesis import GenerationMode
    from schemathesis.specs.openapi.checks import negative_data_rejection

    method = "get" if name in ("lists", "models") else "post"
    if mode == "negative" and method == "get":
        return  # there is nothing that could be wrong
    strategy = schema[f"/api/{name}"][method].as_strategy(generation_mode=GenerationMode(mode))
    if mode == "positive":
        strategy = strategy.map(may_be_asked)
    statuses = set()

    @settings(
        max_examples=EXAMPLES[name],
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def ask(case: Case) -> None:
        # In a form a number or a single phrase is a text like any other, so not all that is wrong
        # as JSON is wrong here.
        reply = case.call_and_validate(excluded_checks=[negative_data_rejection], timeout=PATIENCE)
        statuses.add(reply.status_code)

    ask()
    if mode == "positive":
        assert statuses == {200}
    else:
        assert 400 in statuses
        assert statuses <= {200, 400, 413, 415}


def test_the_description_says_what_the_code_does(served: Served) -> None:
    described = served.get("/openapi.json").json
    cookie = f"clip_gaze_token_{served.port}"
    assert described == description(described["info"]["version"], cookie, phrases.names())
    assert described["openapi"].startswith("3.1")

    def properties(name: str) -> dict[str, dict[str, object]]:
        body = described["paths"][f"/api/{name}"]["post"]["requestBody"]
        return body["content"]["multipart/form-data"]["schema"]["properties"]

    assert properties("gaze")["list"]["items"] == {"enum": phrases.names()}
    assert properties("see")["phrase"]["maxItems"] == forms.MOST_LOOKED_FOR
    assert properties("gaze")["phrase"]["maxItems"] == forms.MOST_PHRASES
    top = properties("card")["top"]
    assert (top["minimum"], top["maximum"]) == (1, forms.MOST_ON_CARD)
    assert top["description"] == "How many phrases of each list."


def test_a_bundles_lists_are_not_said_to_ship() -> None:
    summary = description("1.0", "token", ["seas"])["paths"]["/api/lists"]["get"]["summary"]
    assert summary == "The phrase lists that can be named: those that ship, or a bundle's own"


def test_refusals_are_as_described_too(schema: BaseSchema) -> None:
    operation = schema["/api/gaze"]["POST"]
    for headers, status in (
        ({"Host": "evil.example"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Content-Type": "text/plain"}, 415),
    ):
        case = operation.Case(headers=headers, body={})
        reply = case.call(timeout=PATIENCE)
        assert reply.status_code == status
        operation.validate_response(reply)
