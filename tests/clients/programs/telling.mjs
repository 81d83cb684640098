// How a program in JavaScript tells what came of a request.

export const { URL: url, TOKEN: token, PROMPT: prompt, PICTURE: picture, MODEL: model } = process.env;
export const size = "1536x1024";

const told = (error) => ({
  kind: error?.constructor?.name ?? "thrown",
  message: String(error?.message ?? error),
  status: error?.status ?? error?.statusCode ?? null,
});

// Do what the first argument names, and print its images (base64 or links) or its error.
export const tell = async (actions) => {
  const said = await actions[process.argv[2]]().then(
    (images) => ({ images }),
    (error) => ({ error: told(error) }),
  );
  process.stdout.write(`\n${JSON.stringify(said)}\n`, () => process.exit(0));
};
