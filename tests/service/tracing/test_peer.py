import pytest

from batkol.tracing.peer import NOBODY, Peer


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://user:Zq7%2F@llm.example/v1?key=Zq7", "llm.example", None),
        ("http://127.0.0.1:9000/v1", "127.0.0.1", 9000),
        ("http://[::1]:8000/v1", "::1", 8000),
    ],
)
def test_host_and_port_of_a_url_are_told_and_nothing_else(url: str, host: str, port: int | None) -> None:
    found = Peer(url, "gpt-4.1").attributes

    assert (found["server.address"], found.get("server.port")) == (host, port)
    assert (found["gen_ai.provider.name"], found["gen_ai.request.model"]) == ("openai", "gpt-4.1")
    assert "Zq7" not in str(found)


def test_what_is_made_in_this_process_has_no_server() -> None:
    assert NOBODY.attributes == {}
    assert "gen_ai.request.model" not in Peer("http://127.0.0.1:9000/v1").attributes
