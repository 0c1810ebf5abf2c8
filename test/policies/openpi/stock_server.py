# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A server that answers as openpi's own does: one observation a request, no noise, a traceback as text."""

import asyncio
import sys
import traceback

import stand_in
from websockets.asyncio.server import serve

from vla_iss_ros.policies.openpi.wire import pack, unpack

JUNK = {"junk": b"\xc1", "list": pack([1]), "nothing": pack({}), "object": pack({"actions": "none"})}


async def answer(policy, socket):
    await socket.send(pack(getattr(policy, "metadata", {})))
    async for message in socket:
        observation = unpack(message)
        prompt = observation.get("prompt")
        if prompt in JUNK:
            await socket.send(JUNK[prompt])
            continue
        try:
            await socket.send(pack(policy.infer(observation)))
        except Exception:
            await socket.send(traceback.format_exc())
            await socket.close(1011)
            return


async def main():
    policy = getattr(stand_in, sys.argv[1])()
    server = await serve(
        lambda socket: answer(policy, socket), "127.0.0.1", 0, compression=None, max_size=None
    )
    print(f"serving at 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


asyncio.run(main())
