import os

import redis


def test_the_suite_runs_on_valkey_9() -> None:
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        assert client.info("server")["valkey_version"].split(".")[0] == "9"
