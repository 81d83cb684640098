"""The shapes that clients of OpenAI's API really send, at the addresses that they really ask."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import httpx
import openai
import pytest
import pytest_asyncio
from openai import AsyncAzureOpenAI, AsyncOpenAI

from tests.support.factories.images import picture
from tests.support.stack.shared_stack import MODEL, OTHER_MODEL, SQUARE, Account, SharedStack, fresh, opened

pytestmark = [pytest.mark.real_redis, pytest.mark.asyncio(loop_scope="module")]

ENCODED = base64.b64encode(picture(80)).decode()
LINES = base64.encodebytes(picture(80)).decode()
URL = f"data:image/png;base64,{ENCODED}"
LARGE = base64.encodebytes(picture(200)).decode()  # does not stay in the JSON
FILE = ("fox.png", picture(64), "image/png")


@pytest_asyncio.fixture(loop_scope="module")
async def ann(shared_stack: SharedStack, account: Account) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a token."""
    headers = {"Authorization": f"Bearer {account.token}"}
    async with httpx.AsyncClient(base_url=shared_stack.url, headers=headers, timeout=30) as ann:
        yield ann


def made(answer: httpx.Response, *, size: tuple[int, int] = SQUARE) -> int:
    """Count the images that came, all of them as base64."""
    assert answer.status_code == 200, answer.text
    assert {opened(entry["b64_json"]).size for entry in answer.json()["data"]} == {size}
    return len(answer.json()["data"])


@pytest.mark.parametrize("path", ["edits", "generations"])
@pytest.mark.parametrize(
    "images",
    [
        {"images": [{"image_url": URL}]},
        {"images": [{"image_url": LARGE}]},
        {"image": ENCODED},
        {"image": LINES},
        {"image": [f"data:image/png;base64,{LARGE}"]},
        {"image_url": URL},
    ],
    ids=["objects", "large", "bare", "lines", "list", "image_url"],
)
async def test_images_in_json_are_sent_to_the_provider(
    shared_stack: SharedStack, ann: httpx.AsyncClient, path: str, images: dict[str, Any]
) -> None:
    assert made(await ann.post(f"/v1/images/{path}", json={"prompt": (prompt := fresh()), **images})) == 1
    assert [call.references for call in shared_stack.calls(prompt)] == [1]


@pytest.mark.parametrize("names", [["image[0]", "image[1]"], ["images", "images"], ["images[]"], ["image"]], ids=str)
async def test_files_of_a_form_have_many_names(
    shared_stack: SharedStack, ann: httpx.AsyncClient, names: list[str]
) -> None:
    files = [(name, (f"{at}.png", picture(64 + at), "image/png")) for at, name in enumerate(names)]
    form = {"prompt": (prompt := fresh()), "n": "1.0", "output_format": "JPEG"}
    answer = await ann.post("/v1/images/edits", data=form, files=files)
    assert (made(answer), answer.json()["output_format"]) == (1, "jpeg")
    assert [call.references for call in shared_stack.calls(prompt)] == [len(names)]


async def test_an_image_that_was_made_is_named_by_its_id(shared_stack: SharedStack, ann: httpx.AsyncClient) -> None:
    [image] = (await ann.post("/v1/images/generations", json={"prompt": fresh()})).json()["darkroom"]["images"]
    body = {"prompt": (prompt := fresh()), "images": [{"file_id": image}]}
    assert made(await ann.post("/v1/images/edits", json=body)) == 1
    assert [call.references for call in shared_stack.calls(prompt)] == [1]


@pytest.mark.parametrize(
    ("path", "more", "code", "param"),
    [
        ("edits", {"mask[]": FILE}, "mask_not_supported", "mask"),
        ("edits", {"mask": FILE}, "mask_not_supported", "mask"),
        ("edits", {"picture": FILE}, "unknown_field", "image"),
        ("edits", {"background": (None, "transparent")}, "background_not_supported", "background"),
    ],
    ids=str,
)
async def test_what_would_be_dropped_is_refused_in_words_and_costs_nothing(
    shared_stack: SharedStack, ann: httpx.AsyncClient, account: Account, path: str, more: Any, code: str, param: str
) -> None:
    form: dict[str, Any] = {"prompt": (None, "a fox"), "image": FILE, **more}
    answer = await ann.post(f"/v1/images/{path}", files=form)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, code, param)
    assert await shared_stack.jobs(account.owner) == []


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({"n": 9}, "n", "n must be between 1 and 4"),
        ({"n": 2.5}, "n", "n has the wrong type"),
        ({"size": "7K"}, "size", "size must be"),
        ({"image_size": "7K"}, "image_size", "image_size must be"),
        ({"background": "transparent"}, "background", "Transparent backgrounds are not supported"),
        ({"mask": URL}, "mask", "Masks are not supported"),
        ({"image": "https://example.com/a.png"}, "image", "data URLs"),
        ({"image": "img_0123456789ab"}, "image", "no image with this id"),
    ],
    ids=str,
)
async def test_an_error_names_the_field_of_its_caller(
    ann: httpx.AsyncClient, body: dict[str, Any], param: str | None, words: str
) -> None:
    answer = await ann.post("/v1/images/generations", json={"prompt": "a fox", **body})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], words in error["message"]) == (400, param, True), error


@pytest.mark.parametrize("model", ["dall-e-3", "openai/dall-e-2"])
async def test_dall_e_answers_with_links_as_it_does_by_default(
    shared_stack: SharedStack, account: Account, model: str
) -> None:
    async with AsyncOpenAI(base_url=f"{shared_stack.url}/v1/", api_key=account.token, max_retries=0) as ann:
        answer = await ann.images.generate(prompt=fresh(), model=model)
    assert answer.data
    assert answer.data[0].b64_json is None
    async with httpx.AsyncClient() as anybody:
        assert (await anybody.get(answer.data[0].url or "")).headers["Content-Type"] == "image/png"


@pytest.mark.parametrize("path", ["/v1//images/generations", "/v1/images/generations/", "/images/generations"])
async def test_a_slash_too_many_in_the_base_url(ann: httpx.AsyncClient, path: str) -> None:
    assert made(await ann.post(path, json={"prompt": fresh(), "n": 2.0, "size": "9:16"}), size=(768, 1344)) == 2


@pytest.mark.parametrize("path", ["/v1/models/", "/models", "/openai/models?api-version=1"])
async def test_models_are_listed_there_too(ann: httpx.AsyncClient, path: str) -> None:
    assert [model["id"] for model in (await ann.get(path)).json()["data"]] == [MODEL, OTHER_MODEL]


@pytest.mark.parametrize(("deployment", "asked"), [("gpt-image-1", MODEL), (OTHER_MODEL, OTHER_MODEL)])
async def test_azures_client(shared_stack: SharedStack, account: Account, deployment: str, asked: str) -> None:
    azure: dict[str, Any] = {
        "azure_endpoint": shared_stack.url,
        "api_version": "2025-04-01-preview",
        "api_key": account.token,
    }
    async with AsyncAzureOpenAI(**azure, max_retries=0) as ann:
        made = await ann.images.generate(prompt=(prompt := fresh()), model=deployment, size="1024x1536")
        assert made.data
        assert opened(made.data[0].b64_json or "").size == (832, 1248)
        await ann.images.edit(prompt=prompt, model=deployment, image=FILE)
        with pytest.raises(openai.NotFoundError, match="/v1/images/generations"):
            await ann.chat.completions.create(model=deployment, messages=[{"role": "user", "content": "a fox"}])
        with pytest.raises(openai.NotFoundError, match="There is no such model"):
            await ann.images.generate(prompt=prompt, model="nobody-knows-it")
    assert [(call.model, call.references) for call in shared_stack.calls(prompt)] == [(asked, 0), (asked, 1)]


async def test_azures_client_with_a_deployment(shared_stack: SharedStack, account: Account) -> None:
    azure: dict[str, Any] = {
        "azure_endpoint": shared_stack.url,
        "api_version": "2025-04-01-preview",
        "api_key": account.token,
    }
    async with AsyncAzureOpenAI(**azure, azure_deployment="gpt-image-1", max_retries=0) as ann:
        await ann.images.generate(prompt=(prompt := fresh()))
    assert [call.model for call in shared_stack.calls(prompt)] == [MODEL]


async def test_azures_client_is_sent_on_when_it_follows_redirects(
    ann: httpx.AsyncClient, shared_stack: SharedStack
) -> None:
    path = f"{shared_stack.impatient_url}/openai/deployments/gpt-image-1/images/generations"
    body, headers = {"prompt": fresh("[slow 1]")}, {"Sec-Fetch-Mode": "cors"}
    answer = await ann.post(path, json=body, headers=headers, follow_redirects=True)
    assert (made(answer), {hop.status_code for hop in answer.history}) == (1, {303})
    assert answer.headers["X-Darkroom-Model"] == MODEL


async def test_what_only_openai_has_is_refused_in_its_words(shared_stack: SharedStack, account: Account) -> None:
    async with AsyncOpenAI(base_url=f"{shared_stack.url}/v1", api_key=account.token, max_retries=0) as ann:
        for asking in (
            ann.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "a fox"}]),
            ann.responses.create(model="gpt-5", input="a fox"),
            ann.post("/images/variations", cast_to=object),
            ann.embeddings.create(model="e", input="a fox"),
        ):
            with pytest.raises(openai.NotFoundError, match="POST /v1/images/edits") as caught:
                await asking
            assert caught.value.code == "images_only"
