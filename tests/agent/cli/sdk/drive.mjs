// Drives the official TypeScript SDK of Codex as its users do, and prints what came of it as one JSON object.
// argv: folder of node_modules, path of the command, name of the scenario; stdin: its options as JSON.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [modules, command, scenario] = process.argv.slice(2);
const { Codex } = await import(pathToFileURL(`${modules}/@openai/codex-sdk/dist/index.js`));
const about = JSON.parse(readFileSync(0, "utf8"));
const codex = new Codex({
  codexPathOverride: command,
  baseUrl: about.baseUrl,
  apiKey: about.apiKey,
  config: about.config,
  configOverrides: about.configOverrides,
  env: about.env,
});

async function streamed(thread, input, options) {
  const { events } = await thread.runStreamed(input, options);
  const seen = [];
  for await (const event of events) seen.push(event);
  return seen;
}

const scenarios = {
  async run() {
    const thread = codex.startThread(about.thread);
    const turn = await thread.run(about.input, about.turn);
    return { id: thread.id, ...turn };
  },
  async streamed() {
    const thread = codex.startThread(about.thread);
    return { events: await streamed(thread, about.input, about.turn), id: thread.id };
  },
  async twice() {
    const thread = codex.startThread(about.thread);
    const first = await thread.run("first");
    const id = thread.id;
    const second = await thread.run("second");
    return { first, second, id, same: id === thread.id };
  },
  async resumed() {
    const begun = codex.startThread(about.thread);
    await begun.run("first");
    const thread = codex.resumeThread(begun.id, about.thread);
    const turn = await thread.run(about.input ?? "second");
    return { id: begun.id, resumed: thread.id, ...turn };
  },
  async abortedBefore() {
    const thread = codex.startThread(about.thread);
    try {
      await thread.run(about.input, { signal: AbortSignal.abort() });
    } catch (error) {
      return { error: error.name };
    }
    return { error: null };
  },
  async aborted() {
    const stop = new AbortController();
    const thread = codex.startThread(about.thread);
    const { events } = await thread.runStreamed(about.input, { signal: stop.signal });
    const seen = [];
    try {
      for await (const event of events) {
        seen.push(event.type);
        if (event.type === "item.started") stop.abort();
      }
    } catch (error) {
      return { seen, id: thread.id, error: error.name };
    }
    return { seen, id: thread.id, error: null };
  },
};

try {
  console.log(JSON.stringify({ ok: await scenarios[scenario]() }));
} catch (error) {
  console.log(JSON.stringify({ failed: error.message }));
}
