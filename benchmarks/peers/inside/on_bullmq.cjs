// BullMQ: the worker, and what drive.py does, in its own language. No job is kept when it's done.

const fs = require("fs");
const { Queue, Worker } = require("bullmq");

const url = new URL(process.env.BENCH_URL);
const connection = { host: url.hostname, port: Number(url.port), maxRetriesPerRequest: null };
const notes = process.env.BENCH_NOTES;
const options = { removeOnComplete: true, removeOnFail: true };
const nap = (ms) => new Promise((done) => setTimeout(done, ms));
const now_ns = () => Number(process.hrtime.bigint());

// Node maps no files: the count is written after every 32 jobs, and 5 ms after the last.
function counting() {
  const file = fs.openSync(`${notes}/count-${process.pid}`, "w+");
  const cell = Buffer.alloc(8);
  let count = 0n;
  let timer = null;
  const write = () => {
    timer = null;
    cell.writeBigUInt64LE(count);
    fs.writeSync(file, cell, 0, 8, 0);
  };
  return () => {
    count += 1n;
    if (count % 32n === 0n) write();
    else if (timer === null) timer = setTimeout(write, 5);
  };
}

async function work(slots) {
  const one = counting();
  const handlers = {
    noop: async () => one(),
    wait: async () => { await nap(1); one(); },
    late: async (job) =>
      fs.appendFileSync(`${notes}/late-${process.pid}`, `${now_ns() - job.data.value}\n`),
  };
  const worker = new Worker("bench", (job) => handlers[job.name](job), {
    connection, concurrency: slots,
  });
  process.once("SIGTERM", async () => { await worker.close(); process.exit(0); });
}

const noted = () =>
  fs.readdirSync(notes).filter((name) => name.startsWith("late-"))
    .reduce((sum, name) => sum + fs.statSync(`${notes}/${name}`).size, 0);

async function idle(queue, count) {
  for (let i = 0; i < count; i++) {
    const before = noted(), until = Date.now() + 30_000;
    await queue.add("late", { value: now_ns() }, options);
    while (noted() === before) {
      if (Date.now() > until) throw new Error("a job hasn't begun within 30 s");
      await nap(2);
    }
    await nap(20);
  }
  return { seconds: 0 };
}

async function fill(queue, command, job, count, size) {
  const value = "x".repeat(size);
  await queue.waitUntilReady();
  const started = process.hrtime.bigint();
  if (command === "single") {
    for (let i = 0; i < count; i++) await queue.add(job, { value }, options);
  } else {
    for (let first = 0; first < count; first += 500) {
      const some = Math.min(500, count - first);
      await queue.addBulk(Array.from({ length: some }, () => ({ name: job, data: { value }, opts: options })));
    }
  }
  return { seconds: Number(process.hrtime.bigint() - started) / 1e9, many: true };
}

async function main([command, ...rest]) {
  if (command === "worker") {
    console.log(JSON.stringify([process.execPath, __filename, "work", rest[0]]));
  } else if (command === "work") {
    await work(Number(rest[0]));
  } else {
    const queue = new Queue("bench", { connection });
    const done = command === "idle"
      ? await idle(queue, Number(rest[0]))
      : await fill(queue, command, rest[0], Number(rest[1]), Number(rest[2]));
    await queue.close();
    console.log(JSON.stringify(done));
  }
}

main(process.argv.slice(2)).catch((error) => { console.error(error); process.exit(1); });
