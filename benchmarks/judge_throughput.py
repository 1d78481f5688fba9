"""How fast turns are judged by a server that is slow: judged turns per second, as a share of what the server allows.

    python benchmarks/judge_throughput.py --turns 3200 --latency 0.2 --connections 64 [--json] [--peer]

A local server, in a process of its own, answers each request after a fixed time with a valid judgement. The bound is connections
divided by latency: what a client and a server that cost nothing would reach. Our figure is a whole run of a study whose agents
have answered already: planning, reading the ledger, asking, parsing, and recording each verdict and each call in a transaction
before the turn counts.

Other work on the machine slows the server as much as the client. How much is told by a bare client: as many requests over as many
connections, sent and read and nothing else, one half before our run and one half after it; `ratio_to_bare_client` is ours over
that. `--peer` gives Inspect AI (pip install inspect-ai openai) the same number of requests over as many connections, with a
model-graded scorer of its own, as many samples under way as we have turns, its live log off and its samples logged, in the same
run. Packages are loaded before anybody's time begins. Last line: a JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from made_study import made_study

from turnwise.endpoints.endpoint import Endpoint
from turnwise.study.experiment import carry_out, load_results
from turnwise.study.study import JudgeChoice, Study

ANSWER = json.dumps(
    {
        "naturalness": {"reason": "The reply is fluent and fits the situation.", "score": 84},
        "consistency": {"reason": "It agrees with what was said before.", "score": 91},
    }
)
REQUEST = 4000  # characters of a bare request: about as many as the judge's have
PEER_ANSWER = "The reply fits what was said before.\n\nGRADE: C"


def serve(line: Connection, latency: float) -> None:
    """A server that takes its time and nothing else."""
    from aiohttp import web

    served = [0]

    async def answer(request: web.Request) -> web.Response:
        body = await request.read()
        served[0] += 1
        await asyncio.sleep(latency)
        words = PEER_ANSWER if b"GRADE" in body else ANSWER
        message = {"role": "assistant", "content": words}
        usage = {"prompt_tokens": 700, "completion_tokens": 60, "total_tokens": 760}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return web.json_response(
            {"id": "x", "object": "chat.completion", "created": 0, "model": "fixed", "choices": [choice], "usage": usage}
        )

    async def work() -> None:
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/v1/chat/completions", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        line.send(runner.addresses[0][1])
        while True:
            if await asyncio.to_thread(line.recv) == "count":
                line.send(served[0])
            else:
                return

    asyncio.run(work())


def bare(requests: int, url: str, connections: int) -> float:
    """Seconds that a client takes which only sends and reads."""
    import aiohttp

    body = json.dumps({"model": "fixed", "messages": [{"role": "user", "content": "x" * REQUEST}]}).encode()
    headers = {"Content-Type": "application/json"}
    waiting = iter(range(requests))

    async def one(session: aiohttp.ClientSession) -> None:
        for _ in waiting:  # shared by all: each takes the next
            async with session.post(f"{url}/chat/completions", data=body, headers=headers) as response:
                assert response.status == 200
                await response.read()

    async def all_of_them() -> float:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            started = time.perf_counter()
            await asyncio.gather(*(one(session) for _ in range(connections)))
            return time.perf_counter() - started

    return asyncio.run(all_of_them())


def judged(study: Study, root: Path, url: str, connections: int) -> dict[str, Any]:
    """A run of the judge over turns that were answered before."""
    carry_out(study, root / "run", workers=0)
    judge = JudgeChoice("dialogue_quality", {"model": "fixed", "endpoint": "bench"})
    endpoint = Endpoint(url, connections=connections, retries=0)
    asked = Study(
        name=study.name, arms=study.arms, corpus=study.corpus, user=study.user, transcriber=study.transcriber, judges=(judge,),
        endpoints={"bench": endpoint}, seed=study.seed,
    )  # fmt: skip
    started = time.perf_counter()
    cpu = time.process_time()
    done = carry_out(asked, root / "run", workers=0)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    assert done.complete, done
    results = load_results(root / "run")
    turns = sum(len(conversation.rounds) for conversation in results.conversations)
    assert sum(expense.calls for expense in results.expenses) == turns
    return {"turns": turns, "seconds": seconds, "cpu_seconds": cpu}


def peer(turns: int, url: str, connections: int) -> tuple[float, float]:
    """Seconds, and those of the processor, that Inspect AI takes for as many requests, one model-graded score per sample."""
    os.environ["OPENAI_API_KEY"] = "none-needed-here"
    os.environ["OPENAI_BASE_URL"] = url
    from inspect_ai import Task, eval
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import ModelOutput, get_model
    from inspect_ai.scorer import model_graded_qa
    from inspect_ai.solver import Generate, TaskState, solver

    @solver
    def answered():  # type: ignore[no-untyped-def]
        async def solve(state: TaskState, generate: Generate) -> TaskState:
            state.output = ModelOutput.from_content("fixed", "Of course, I note that for you.")
            return state

        return solve

    samples = [Sample(input=f"This is turn {number} of a call about a museum.", target="fits") for number in range(turns)]
    grader = get_model("openai/fixed", base_url=url, responses_api=False)
    task = Task(dataset=MemoryDataset(samples), solver=answered(), scorer=model_graded_qa(model=grader))
    with tempfile.TemporaryDirectory() as logs:
        started, cpu = time.perf_counter(), time.process_time()
        (log,) = eval(
            task, model=grader, max_connections=connections, max_samples=10 * connections, display="none", log_dir=logs,
            log_level="error", log_realtime=False,
        )  # fmt: skip
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    assert log.status == "success" and log.results is not None and log.results.completed_samples == turns, log.status
    return seconds, cpu


def count(line: Connection) -> int:
    """Requests the server has had."""
    line.send("count")
    served: int = line.recv()
    return served


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--turns", type=int, default=3200, help="rounded down to tens")
    parser.add_argument("--latency", type=float, default=0.2, help="seconds the server takes")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--json", action="store_true", help="print the last line only")
    parser.add_argument("--peer", action="store_true", help="measure Inspect AI too")
    options = parser.parse_args()
    if options.turns < 10:
        parser.error("--turns is at least 10: dialogues have ten rounds")
    context = multiprocessing.get_context("spawn")
    line, theirs = context.Pipe()
    server = context.Process(target=serve, args=(theirs, options.latency), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{line.recv()}/v1"
    bound = options.connections / options.latency
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        study = made_study(root, dialogues=options.turns // 10, rounds=10, arms=1)
        half = options.turns // 2
        load = os.getloadavg()[0]
        alone = bare(half, url, options.connections)
        asked = count(line)
        found = judged(study, root, url, options.connections)
        assert count(line) - asked == found["turns"]  # every turn was asked once
        alone += bare(half, url, options.connections)
    speed, bare_speed = found["turns"] / found["seconds"], 2 * half / alone
    result = {
        "cores": os.cpu_count(),
        "load_before": round(load, 1),
        "turns": found["turns"],
        "turns_per_second": round(speed, 1),
        "bound_per_second": round(bound, 1),
        "cpu_seconds_per_1000_turns": round(1000 * found["cpu_seconds"] / found["turns"], 2),
        "ratio_to_bound": round(speed / bound, 3),
        "bare_client_ratio_to_bound": round(bare_speed / bound, 3),
        "ratio_to_bare_client": round(speed / bare_speed, 3),
    }
    if options.peer:
        asked = count(line)
        seconds, cpu = peer(found["turns"], url, options.connections)
        assert count(line) - asked == found["turns"]
        theirs_speed = found["turns"] / seconds
        result |= {
            "peer_turns_per_second": round(theirs_speed, 1),
            "peer_cpu_seconds_per_1000_turns": round(1000 * cpu / found["turns"], 2),
            "peer_ratio_to_bound": round(theirs_speed / bound, 3),
            "ratio_to_peer": round(speed / theirs_speed, 2),
        }
    line.send("end")
    server.join(5)
    if not options.json:
        print(f"{result['turns']} turns judged at {speed:.0f}/s")
        print(f"the server allows {bound:.0f}/s; a bare client gets {bare_speed:.0f}/s")
        if options.peer:
            print(f"Inspect AI on as many requests: {theirs_speed:.0f}/s")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
