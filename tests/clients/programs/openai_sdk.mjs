// OpenAI's JavaScript SDK makes or edits an image.

import { createReadStream } from "node:fs";
import OpenAI from "openai";
import { model, picture, prompt, size, tell, token, url } from "./telling.mjs";

const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: token });
const images = (answer) => answer.data.map((image) => image.b64_json ?? image.url);

await tell({
  generate: async () => images(await openai.images.generate({ model, prompt, size })),
  edit: async () => images(await openai.images.edit({ model, prompt, image: createReadStream(picture) })),
});
