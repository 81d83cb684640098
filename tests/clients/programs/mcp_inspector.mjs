// The command line of MCP's inspector calls our tools: a process for each call, as people type them.

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { prompt, tell, token, url } from "./telling.mjs";

const run = promisify(execFile);
const inspector = ["node_modules/.bin/mcp-inspector", "--cli", `${url}/mcp`, "--transport", "http"];
inspector.push("--header", `Authorization: Bearer ${token}`);

const call = async (name, wish) => {
  const given = Object.entries(wish).flatMap(([key, value]) => ["--tool-arg", `${key}=${value}`]);
  const command = [...inspector, "--method", "tools/call", "--tool-name", name, ...given];
  // It exits with an error when the tool answers with one, and prints that answer all the same.
  const { stdout } = await run(process.execPath, command, { maxBuffer: 2 ** 28 }).catch((error) => error);
  const answer = JSON.parse(stdout);
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

await tell({
  generate: async () => images(await ended({ prompt, aspect_ratio: "3:2", count: 1 })),
  edit: async () => {
    const first = await ended({ prompt: "a picture to change", aspect_ratio: "16:9" });
    const reference_images = JSON.stringify([first.structuredContent.images[0].id]);
    return images(await ended({ prompt, reference_images }));
  },
});
