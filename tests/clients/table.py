"""The clients, with their versions; each is installed as its own people publish it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Language(StrEnum):
    """What a client's program is written in, and so how it is installed and run."""

    OURS = "our own environment"
    PYTHON = "a venv of its own"
    NODE = "a folder node_modules of its own"


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One client: what is installed, what it is told to do, and how much of it can be expected."""

    name: str
    packages: tuple[str, ...]  # the first one is the client; its version is the one that is told
    program: str  # in tests/clients/programs
    language: Language
    model: str = "gpt-image-1"
    environment: Mapping[str, str] = field(default_factory=dict)
    server: str = ""  # what has to run between the program and Darkroom
    without: tuple[str, ...] = ()  # of its requirements: what is large, and not needed here
    can_edit: bool = True
    refusal_words: str = "refused"  # what its user reads of a refusal
    fault_words: str = "not available"  # and of a provider's fault
    is_small: bool = False  # and so installed in CI, too

    @property
    def version(self) -> str:
        """Tell the version that is installed."""
        name, _, version = self.packages[0].rpartition("@" if self.language is Language.NODE else "==")
        return version if name else ""


AI_SDK = ("ai@7.0.173", "@ai-sdk/openai@4.0.118", "@ai-sdk/openai-compatible@3.0.92", "zod@4.6.7")
MCP_SDK = ("@modelcontextprotocol/sdk@1.32.2", "zod@4.6.7")
LITELLM_ENVIRONMENT = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}

CLIENTS = (
    Client(name="OpenAI's Python SDK", packages=("openai",), program="openai_sdk.py", language=Language.OURS),
    Client(
        name="OpenAI's JavaScript SDK",
        packages=("openai@7.59.0",),
        program="openai_sdk.mjs",
        language=Language.NODE,
    ),
    Client(
        name="Vercel's AI SDK, @ai-sdk/openai",
        packages=AI_SDK,
        program="ai_sdk.mjs",
        language=Language.NODE,
        environment={"PROVIDER": "openai"},
        is_small=True,
    ),
    Client(
        name="Vercel's AI SDK, @ai-sdk/openai-compatible",
        packages=AI_SDK,
        program="ai_sdk.mjs",
        language=Language.NODE,
        environment={"PROVIDER": "compatible"},
        is_small=True,
    ),
    Client(
        name="MCP's TypeScript SDK",
        packages=MCP_SDK,
        program="mcp_sdk.mjs",
        language=Language.NODE,
        is_small=True,
    ),
    Client(
        name="MCP's inspector, --cli",
        packages=("@modelcontextprotocol/inspector@2.12.0",),
        program="mcp_inspector.mjs",
        language=Language.NODE,
    ),
    Client(
        name="LiteLLM's SDK",
        packages=("litellm==1.110.2",),
        program="litellm_sdk.py",
        language=Language.PYTHON,
        environment=LITELLM_ENVIRONMENT,
    ),
    Client(
        name="LiteLLM's proxy, asked by OpenAI's SDK",
        packages=("litellm[proxy]==1.106.12", "openai"),
        program="openai_sdk.py",
        language=Language.PYTHON,
        environment=LITELLM_ENVIRONMENT,
        server="litellm_proxy",
    ),
    Client(
        name="LangChain's DallEAPIWrapper",
        packages=("langchain-community==0.4.2", "openai"),
        program="langchain_wrapper.py",
        language=Language.PYTHON,
        model="dall-e-3",
        can_edit=False,
    ),
    Client(
        name="Open WebUI",
        packages=("open-webui==0.12.4", "httpx"),
        program="open_webui.py",
        language=Language.PYTHON,
        server="open_webui",
        without=(
            *("torch", "triton", "transformers", "sentence-transformers", "onnxruntime", "opencv-python-headless"),
            *("pyarrow", "scipy", "scikit-learn", "faster-whisper", "ctranslate2"),
        ),
        refusal_words="Bad Request",
        fault_words="Bad Gateway",
    ),
)
