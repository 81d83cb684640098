"""nanobot's config.json and DARKROOM_*: the seed's examples, tables and sentences, and all that can be wrong."""

import pytest

from contract.errors.exceptions import ConfigInvalid, Refused
from contract.settings.loader import load_settings
from contract.settings.nanobot_config import ImageGeneration
from contract.store.celery_app import broker_url
from tests.support.factories.configs import SECRET, Write, problems, with_image, with_provider

OPENROUTER = """{
"providers": {
"openrouter": {
"apiKey": "${OPENROUTER_API_KEY}"
}
},
"tools": {
"imageGeneration": {
"enabled": true,
"provider": "openrouter",
"model": "openai/gpt-5.4-image-2",
"defaultAspectRatio": "1:1",
"defaultImageSize": "1K"
}
}
}"""
AIHUBMIX = OPENROUTER.replace("openrouter", "aihubmix").replace("OPENROUTER", "AIHUBMIX")
AIHUBMIX = AIHUBMIX.replace("openai/gpt-5.4-image-2", "gpt-image-2-free")
AIHUBMIX_LOW = """{
"providers": {
"aihubmix": {
"apiKey": "${AIHUBMIX_API_KEY}",
"extraBody": {
"quality": "low"
}
}
},
"tools": {
"imageGeneration": {
"enabled": true,
"provider": "aihubmix",
"model": "gpt-image-2-free"
}
}
}"""


def test_the_openrouter_example_of_the_seed_works_unchanged(config: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", SECRET)
    path = config(OPENROUTER)
    settings = load_settings()
    key = settings.provider("openrouter").api_key
    assert key is not None
    assert key.get_secret_value() == SECRET
    assert settings.image == ImageGeneration(enabled=True)
    assert settings.media == path.parent / "media"


@pytest.mark.parametrize(("text", "body"), [(AIHUBMIX, {}), (AIHUBMIX_LOW, {"quality": "low"})], ids=["plain", "low"])
def test_the_aihubmix_examples_of_the_seed_work_unchanged(
    text: str, body: dict[str, str], config: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIHUBMIX_API_KEY", SECRET)
    config(text)
    settings = load_settings()
    assert settings.provider_names == ("aihubmix",)
    assert settings.image.model == "gpt-image-2-free"
    assert settings.provider("aihubmix").extra_body == body


def test_the_defaults_are_the_seeds(config: Write) -> None:
    config({"providers": {"openrouter": {"apiKey": SECRET}}})
    image = load_settings().image
    assert image.model_dump() == {
        "enabled": False,
        "provider": "openrouter",
        "model": "openai/gpt-5.4-image-2",
        "default_aspect_ratio": "1:1",
        "default_image_size": "1K",
        "max_images_per_turn": 4,
        "save_dir": "generated",
    }


IMAGE_OPTIONS = [
    ("enabled", "enabled", True, True),
    ("model", "model", "google/gemini-3-pro-image:free", "google/gemini-3-pro-image:free"),
    ("defaultAspectRatio", "default_aspect_ratio", "16:9", "16:9"),
    ("defaultImageSize", "default_image_size", "4k", "4K"),
    ("defaultImageSize", "default_image_size", "1024x1024", "1024x1024"),
    ("defaultImageSize", "default_image_size", "", "auto"),
    ("defaultAspectRatio", "default_aspect_ratio", "", "auto"),
    ("maxImagesPerTurn", "max_images_per_turn", 1, 1),
    ("maxImagesPerTurn", "max_images_per_turn", 8, 8),
    ("saveDir", "save_dir", "art/made", "art/made"),
]


@pytest.mark.parametrize(("camel", "snake", "given", "read"), IMAGE_OPTIONS)
def test_every_image_option_is_read_in_both_spellings(
    camel: str, snake: str, given: object, read: object, config: Write
) -> None:
    for key in (camel, snake):
        config(with_image(**{key: given}))
        assert getattr(load_settings().image, snake) == read


@pytest.mark.parametrize(
    ("camel", "snake", "given"),
    [
        ("apiBase", "api_base", "http://127.0.0.1:9/v1"),
        ("extraBody", "extra_body", {"quality": "low", "provider": {"sort": "price"}, "seed": 7, "tags": ["a"]}),
    ],
    ids=["base", "body"],
)
def test_provider_options_are_read_in_both_spellings(camel: str, snake: str, given: object, config: Write) -> None:
    for key in (camel, snake):
        config(with_provider(**{key: given}))
        assert getattr(load_settings().provider("openrouter"), snake) == given


def test_sections_are_read_in_snake_case_too(config: Write) -> None:
    config({"providers": {"openrouter": {"api_key": SECRET}}, "tools": {"image_generation": {"model": "a/b"}}})
    assert load_settings().image.model == "a/b"


def test_extra_headers_are_read_and_kept_secret(config: Write) -> None:
    config(with_provider(extraHeaders={"X-Title": "My bot", "X-Token": "hush-hush"}))
    settings = load_settings()
    headers = settings.provider("openrouter").extra_headers
    assert {name: value.get_secret_value() for name, value in headers.items()} == {
        "X-Title": "My bot",
        "X-Token": "hush-hush",
    }
    assert "hush-hush" not in repr(settings)


def test_what_is_new_in_nanobot_is_ignored(config: Write) -> None:
    config({"channels": {"telegram": {"token": "${NOT_SET}"}}, **with_image(futureOption=1)})
    assert load_settings().image.max_images_per_turn == 4


def test_null_means_not_given(config: Write) -> None:
    config({"providers": {"openrouter": {"apiKey": SECRET, "apiBase": None}}, "tools": None})
    assert load_settings().image == ImageGeneration()


def test_an_unknown_provider_gets_the_seeds_sentence(config: Write) -> None:
    config(with_image(provider="midjourney"))
    says = problems()["tools.imageGeneration.provider"]
    assert says == "unsupported image generation provider 'midjourney': use openrouter or aihubmix."


@pytest.mark.parametrize("key", [None, "", "  "], ids=["none", "empty", "blank"])
def test_a_missing_key_gets_the_seeds_sentence(key: str | None, config: Write) -> None:
    config({"providers": {"openrouter": {"apiKey": key}}})
    says = problems()["providers.openrouter.apiKey"]
    assert says.startswith("Missing API key: configure providers.openrouter.apiKey; if it uses ${VAR_NAME},")


def test_no_configuration_at_all_only_lacks_a_key() -> None:
    assert list(problems()) == ["providers.openrouter.apiKey"]


def test_without_needing_keys_providers_are_left_to_whoever_calls_them(config: Write) -> None:
    config({"providers": {"openrouter": {"apiKey": "${NOT_SET}"}}})
    settings = load_settings(needs_keys=False)
    with pytest.raises(Refused, match="Missing API key"):
        settings.provider("openrouter")
    with pytest.raises(Refused, match="unsupported image generation provider"):
        settings.provider("midjourney")


def test_without_needing_keys_other_problems_still_count(config: Write) -> None:
    config({"tools": {"imageGeneration": {"maxImagesPerTurn": 99}}})
    with pytest.raises(ConfigInvalid) as caught:
        load_settings(needs_keys=False)
    assert [problem.path for problem in caught.value.problems] == ["tools.imageGeneration.maxImagesPerTurn"]


def test_all_problems_are_told_at_once(config: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_CONCURRENCY", "0")
    config({"providers": {"openrouter": {"apiKey": "${NOT_SET}"}}, "tools": {"imageGeneration": {"saveDir": ".."}}})
    assert set(problems()) == {
        "DARKROOM_CONCURRENCY",
        "providers.openrouter.apiKey",
        "tools.imageGeneration.saveDir",
    }


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("redis://h", "redis://h"),
        ("redis://ann:p%40@[::1]:6379/2", "redis://ann:p%40@[::1]:6379/2"),
        ("rediss://ann:p@h", "rediss://ann:p@h?ssl_cert_reqs=required"),
        ("rediss://h/0?ssl_ca_certs=/ca.pem", "rediss://h/0?ssl_ca_certs=/ca.pem&ssl_cert_reqs=required"),
        ("rediss://h?ssl_cert_reqs=none", "rediss://h?ssl_cert_reqs=none"),
        (
            "rediss://h?ssl_certfile=/c.pem&ssl_keyfile=/c.key&ssl_check_hostname=false",
            "rediss://h?ssl_certfile=/c.pem&ssl_keyfile=/c.key&ssl_check_hostname=false&ssl_cert_reqs=required",
        ),
        ("unix:///r.sock?db=2", "redis+socket:///r.sock?virtual_host=2"),
        ("unix://ann:p@/r.sock", "redis+socket://ann:p@/r.sock"),
    ],
)
def test_a_redis_url_is_spelt_for_celery_too(url: str, broker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_REDIS_URL", url)
    settings = load_settings(needs_keys=False)
    assert settings.env.redis_url.get_secret_value() == url
    assert broker_url(url) == broker


@pytest.mark.parametrize(
    "url",
    [
        *("h:6379", "http://h", " redis://h", "redis://", "redis://h/abc", "redis://h/1/2", "redis://h:x/0"),
        *(
            "redis://h/0?db=3",
            "redis://h?password=slip",
            "redis://h?ssl_certfile=/c.pem",
            "rediss://h?ssl_check_hostname=0",
            "rediss://h?ssl_certfile=",
            "unix:///s?password=slip&db=2",
            "unix://s",
            "redis://:sl/ip@h",
        ),
    ],
)
def test_a_redis_url_that_celery_would_read_otherwise_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_REDIS_URL", url)
    with pytest.raises(ConfigInvalid) as refusal:
        load_settings(needs_keys=False)
    assert [problem.path for problem in refusal.value.problems] == ["DARKROOM_REDIS_URL"]
    assert "slip" not in str(refusal.value)
