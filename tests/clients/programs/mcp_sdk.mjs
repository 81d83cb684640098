// MCP's TypeScript SDK calls our tools: it makes an image or changes one, and asks for it until it is there.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { prompt, tell, token, url } from "./telling.mjs";

const client = new Client({ name: "tests", version: "1" });
const requestInit = { headers: { Authorization: `Bearer ${token}` } };

const call = async (name, wish) => {
  const answer = await client.callTool({ name, arguments: wish });
  if (answer.isError) throw new Error(answer.content.map((part) => part.text).join(" "));
  return answer;
};

const ended = async (wish) => {
  let answer = await call("generate_image", wish);
  while (["queued", "running"].includes(answer.structuredContent.state))
    answer = await call("get_image_job", { job_id: answer.structuredContent.job_id, wait_seconds: 20 });
  if (answer.structuredContent.state !== "succeeded") throw new Error(answer.structuredContent.message);
  return answer;
};

const images = (answer) => answer.content.filter((part) => part.type === "image").map((part) => part.data);
const connected = async (work) => {
  await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit }));
  return work();
};

await tell({
  generate: () => connected(async () => images(await ended({ prompt, aspect_ratio: "3:2" }))),
  edit: () =>
    connected(async () => {
      const first = await ended({ prompt: "a picture to change", aspect_ratio: "16:9" });
      return images(await ended({ prompt, reference_images: [first.structuredContent.images[0].id] }));
    }),
});
