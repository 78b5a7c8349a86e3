"""The ordinary way, to compare with: the same model behind an endpoint that re-encodes a user's last events at each request.

    python -m benchmarks.load.ordinary MODEL --port 8081 --last 1000

Histories are kept in memory only, which is less than the service does.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI, Request

from penchant import artifact
from penchant.live.records import Happened
from penchant.live.states import sequences_of
from penchant.ranking import recommend


def create_app(folder: str, last: int) -> FastAPI:
    app, model = FastAPI(), artifact.load(folder)
    histories: dict[str, list[Happened]] = defaultdict(list)

    @app.post("/api/feedback")
    async def feedback(request: Request) -> dict[str, int]:
        events: list[dict[str, Any]] = await request.json()
        for event in events:
            moment = time.time_ns() // 1000
            histories[event["user_id"]].append(Happened(moment, event["event_id"], event["item_id"], "event", 0))
        return {"accepted": len(events)}

    @app.get("/api/recommend/{user_id}")
    def recommended(user_id: str, n: int = 10) -> dict[str, Any]:
        states = model.encode(sequences_of(model, [user_id], [histories[user_id][-last:]]))
        ranking = recommend(model, states, n, now=np.array([time.time_ns() // 1000]))
        return {"items": list(ranking.rows([user_id]))}

    @app.get("/health/ready")
    def ready() -> dict[str, bool]:
        return {"ready": True}

    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--port", type=int, default=8081)
    parser.add_argument("--last", type=int, default=1000)
    options = parser.parse_args()
    uvicorn.run(create_app(options.model, options.last), port=options.port, log_level="warning")
