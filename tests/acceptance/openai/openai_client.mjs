// OpenAI's JavaScript SDK does one thing, and says in JSON how it went; test_openai_js.py runs it beside node_modules.

import OpenAI, { toFile } from "openai";

const [what, prompt] = process.argv.slice(2);
const openai = new OpenAI({ maxRetries: Number(process.env.RETRIES ?? 0) });

const stdin = async () => {
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  return Buffer.concat(chunks);
};

const actions = {
  generate: () => openai.images.generate({ prompt, model: "gpt-image-1", n: 2, size: "1536x1024" }),
  edit: async () => openai.images.edit({ prompt, image: await toFile(await stdin(), "fox.png", { type: "image/png" }) }),
  edits: async () => {
    const file = await toFile(await stdin(), "fox.png", { type: "image/png" });
    return openai.images.edit({ prompt, image: [file] });
  },
  stream: async () => {
    const events = [];
    for await (const event of await openai.images.generate({ prompt, n: 2, stream: true })) events.push(event);
    return events;
  },
  models: async () => [(await openai.models.list()).data, await openai.models.retrieve(prompt)],
  timeout: () => openai.images.generate({ prompt }, { timeout: 1000 }),
  abort: () => {
    const controller = new AbortController();
    process.stdin.once("data", () => controller.abort());
    return openai.images.generate({ prompt }, { signal: controller.signal });
  },
};

const told = ({ constructor, name, message, status, code, param, requestID }) =>
  ({ kind: constructor.name, name, message, status, code, param, requestID });

const said = await actions[what]().catch(told);
process.stdout.write(JSON.stringify(said), () => process.exit(0)); // stdin may still be open
