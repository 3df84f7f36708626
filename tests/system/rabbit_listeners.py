# SPDX-License-Identifier: MIT
"""More listeners on a running RabbitMQ, each with TLS options of its own: no restart for each."""

from collections.abc import Mapping
from typing import Any

from openssl_server import free_port, is_listening
from rabbitmq import RabbitMQ
from waiting import wait_until

EVAL = """
{{R, _}} = hd(maps:to_list(ranch:info())),
#{{transport := T, protocol := P}} = ranch:info(R),
#{{socket_opts := S}} = O = ranch:get_transport_options(R),
[begin
    Changed = lists:foldl(fun({{K, V}}, A) -> lists:keystore(K, 1, A, {{K, V}}) end, S,
                          [{{port, Port}} | Changes]),
    {{ok, _}} = ranch:start_listener({{acceptor, {{127, 0, 0, 1}}, Port}}, T,
                                   O#{{socket_opts := Changed}}, P, ranch:get_protocol_options(R))
 end || {{Port, Changes}} <- [{listeners}]], ok.
"""


def term(value: Any) -> str:
    """In Erlang's notation; versions are atoms there."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(term, value)) + "]"
    if isinstance(value, int):
        return str(value)
    text = str(value)
    return f"'{text}'" if text.startswith("tlsv") else f'"{text}"'


def open_listeners(broker: RabbitMQ, variants: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Returns the port of each variant. They end with the node."""
    ports = {name: free_port() for name in variants}
    listeners = []
    for name, options in variants.items():
        changes = ", ".join(f"{{{key}, {term(value)}}}" for key, value in options.items())
        listeners.append(f"{{{ports[name]}, [{changes}]}}")
    broker.ctl("eval", EVAL.format(listeners=", ".join(listeners)))
    for port in ports.values():
        wait_until(lambda port=port: is_listening(port), 10, "the listener")
    return ports
