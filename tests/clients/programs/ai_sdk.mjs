// Vercel's AI SDK makes or edits an image, with one of its providers.

import { readFile } from "node:fs/promises";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateImage } from "ai";
import { model, picture, prompt, size, tell, token, url } from "./telling.mjs";

const gateway = { name: "darkroom", baseURL: `${url}/v1`, apiKey: token };
const provider = process.env.PROVIDER === "openai" ? createOpenAI(gateway) : createOpenAICompatible(gateway);
const images = (answer) => answer.images.map((image) => image.base64);
const make = async (wish) => images(await generateImage({ model: provider.imageModel(model), ...wish }));

await tell({
  generate: () => make({ prompt, size }),
  edit: async () => make({ prompt: { text: prompt, images: [await readFile(picture)] } }),
});
