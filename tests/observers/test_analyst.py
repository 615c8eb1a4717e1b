"""Each join of the analyst finds the leak that it is for, and honest views give nothing away."""

import secrets

import attrs

from bitsnode.ids import ContentId
from onion.address import OnionAddress
from tests.observers.analyst import analyse
from tests.observers.circuits import is_habit
from tests.observers.links import Kind
from tests.observers.made_up import FAUCET, PRICE, two_buyers
from tests.observers.tokens import token, tokens_of
from tests.observers.views import Question, Transaction

HOST = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"


def hexed(value: bytes) -> str:
    """As JSON-RPC shows bytes."""
    return "0x" + value.hex()


def nullifier_of(payment: Transaction) -> bytes:
    """The last word of the event."""
    return payment.logs[0].data[-32:]


def test_an_honest_view_gives_only_the_crowd() -> None:
    """Sum and time leave both buyers and both works, and nothing else is found."""
    world, anna, bert, payment = two_buyers()
    found = analyse(world.view())
    assert found.links == ()
    assert found.accounts[payment.hash] == {anna, bert}
    assert found.contents[payment.hash] == {work.content for work in world.works}


def test_who_buys_after_the_proof_is_not_in_the_crowd() -> None:
    """The root that a proof names says which deposits were there."""
    world, anna, bert, payment = two_buyers()
    late = secrets.token_bytes(20)
    world.deposit(late, 500)
    later = world.pay(600)
    found = analyse(world.view())
    assert found.accounts[payment.hash] == {anna, bert}
    assert found.accounts[later.hash] == {anna, bert, late}


def test_a_commitment_beside_a_nullifier_links_payment_and_deposit() -> None:
    """A log line that shows both, in hex, is enough."""
    world, anna, _bert, payment = two_buyers()
    deposit = next(each for each in world.view().transactions if each.sender == anna)
    commitment = deposit.data[-32:]
    line = f"spent {commitment.hex()} as {nullifier_of(payment).hex()}"
    world.note("a relay", line)
    (link,) = analyse(world.view()).of(Kind.DEPOSIT, payment.hash)
    assert link.candidates == {anna}
    assert link.probability == 1
    assert "a relay: a row" in link.evidence[0]


def test_a_link_in_two_steps_is_found() -> None:
    """A ticket that one node has beside the payment, another beside the deposit's transaction."""
    world, _anna, bert, payment = two_buyers()
    deposit = next(each for each in world.view().transactions if each.sender == bert)
    ticket = secrets.token_bytes(16)
    world.note("a relay", payment.logs[0].topics[1], ticket)
    world.note("a DHT node", {"ticket": ticket.hex(), "transaction": deposit.hash})
    (link,) = analyse(world.view()).of(Kind.DEPOSIT, payment.hash)
    assert link.candidates == {bert}


def test_what_all_payments_share_links_none() -> None:
    """A value that stands with every payment and one deposit is no evidence."""
    world, anna, _bert, payment = two_buyers()
    other, common = world.pay(430), secrets.token_bytes(32)
    for each in (payment, other):
        world.note("a relay", each.hash, common)
    deposit = next(each for each in world.view().transactions if each.sender == anna)
    world.note("a DHT node", common, deposit.hash)
    assert analyse(world.view()).links == ()


def test_one_circuit_for_both_links_them() -> None:
    """The RPC server was asked for the account and for the payment over one circuit."""
    world, anna, _bert, payment = two_buyers()
    world.ask("c1", 100, "eth_getTransactionCount", hexed(anna), "latest")
    world.ask("c1", 402, "eth_getTransactionReceipt", hexed(payment.hash))
    (link,) = analyse(world.view()).of(Kind.DEPOSIT, payment.hash)
    assert link.candidates == {anna}


def test_circuits_that_go_on_where_another_ended_are_one_node() -> None:
    """A circuit reads logs from where only one other circuit had got to; each named one side."""
    world, _anna, bert, payment = two_buyers()
    for circuit, block in (("x", 4), ("y", 6), ("z", 7)):
        world.read_logs(circuit, 50 + block, 0, block)
    world.ask("x", 200, "eth_getTransactionCount", hexed(bert), "latest")
    world.read_logs("new", 390, 5, 8)
    world.ask("new", 403, "eth_call", {"data": hexed(nullifier_of(payment))})
    (link,) = analyse(world.view()).of(Kind.DEPOSIT, payment.hash)
    assert link.candidates == {bert}
    assert "one node" in link.evidence[0]


def test_circuits_that_many_could_go_on_from_stay_apart() -> None:
    """Where all nodes had got to the same block, going on from there tells nothing."""
    world, anna, bert, payment = two_buyers()
    for circuit, account, at in (("x", anna, 100), ("y", bert, 200)):
        world.read_logs(circuit, 50, 0, 4)
        world.ask(circuit, at, "eth_getTransactionCount", hexed(account), "latest")
    world.read_logs("new", 390, 5, 8)
    world.ask("new", 403, "eth_call", {"data": hexed(nullifier_of(payment))})
    assert analyse(world.view()).links == ()


def test_a_circuit_that_speaks_when_somebody_acts_links_the_acts() -> None:
    """It names nothing, but speaks at one account's deposits and again at the payment."""
    world, _anna, bert, payment = two_buyers()
    world.ask("w", 199)
    world.ask("w", 203)
    world.ask("w", 392)
    (link,) = analyse(world.view()).of(Kind.DEPOSIT, payment.hash)
    assert link.candidates == {bert}


def test_circuits_that_speak_by_habit_link_nothing() -> None:
    """One that asks every second asks at every act, and one that began late is no exception."""
    world, _anna, _bert, _payment = two_buyers()
    for second in range(60, 420):
        world.ask("all the time", second + (second % 3) / 10)
    for second in range(150, 420):
        world.ask("from 150 on", second)
    assert analyse(world.view()).links == ()
    assert not is_habit([Question(at, "w", "eth_blockNumber") for at in (100.0, 101.0, 300.0)])


def test_circuits_that_wait_for_a_busy_server_link_nothing() -> None:
    """A server that answers nobody for a while makes all silent: whoever waits is not silent."""
    world, _anna, _bert, _payment = two_buyers()
    for second in range(90, 120, 2):  # their first deposit is at 100
        world.ask("w", second, answered=second + 1.9)
    world.ask("w", 120, answered=380)
    for second in range(380, 420, 20):
        world.ask("w", second, answered=second + 19)
    assert analyse(world.view()).links == ()


def test_pauses_of_the_server_are_no_pauses_of_those_who_ask() -> None:
    """A rhythm that the server broke is a rhythm; one that its owner broke is none."""

    def rhythm(answered: float | None) -> list[Question]:
        times = [float(second) for ten in range(0, 100, 10) for second in range(ten, ten + 4)]
        return [
            Question(at, "w", "eth_blockNumber", (), at + answered if answered else None)
            for at in times
        ]

    assert is_habit(rhythm(answered=6.5))
    assert not is_habit(rhythm(answered=0.1))
    assert not is_habit(rhythm(answered=None))


def test_addresses_asked_about_in_one_breath_link_payment_and_creator() -> None:
    """Somebody wants to know the balances of a payee and of the creator's known address."""
    world, _anna, _bert, payment = two_buyers()
    payee = payment.logs[0].data[12:32]
    world.ask("c1", 900, "eth_getBalance", hexed(payee), "latest")
    world.ask("c2", 900.3, "eth_getBalance", hexed(world.works[1].creator_marks[1]), "latest")
    found = analyse(world.view())
    (link,) = found.of(Kind.CREATOR, payment.hash)
    assert link.candidates == {world.works[1].content}
    assert found.of(Kind.ONION, payment.hash)[0].candidates == {world.works[1].onion}


def test_a_log_line_with_a_content_id_links_payment_and_content() -> None:
    """The name of the content, as people write it, beside the payment's transaction."""
    world, _anna, _bert, payment = two_buyers()
    name = str(ContentId(world.works[0].content))
    world.note("a storer", f"sent a share of {name} for {hexed(payment.hash)}")
    found = analyse(world.view())
    assert found.of(Kind.CONTENT, payment.hash)[0].candidates == {world.works[0].content}
    assert found.of(Kind.CREATOR, payment.hash)
    assert found.of(Kind.ONION, payment.hash)[0].candidates == {world.works[0].onion}


def test_an_onion_address_beside_a_payment_links_them() -> None:
    """In the text of a log, with the dot and all."""
    world, _anna, _bert, payment = two_buyers()
    key = OnionAddress.parse(HOST).public_key
    world.works[0] = attrs.evolve(world.works[0], onion=key)
    world.note("a relay", f"{HOST} asked to submit {payment.logs[0].topics[1].hex()}")
    (link,) = analyse(world.view()).of(Kind.ONION, payment.hash)
    assert link.candidates == {world.works[0].content}


def test_a_share_read_at_the_moment_of_a_payment_links_them() -> None:
    """A storer notes to the second when a content was last read; the other was read long before."""
    world, _anna, _bert, payment = two_buyers()
    world.note("a storer", world.works[0].marks[1], at=50)
    world.note("a storer", world.works[1].marks[1], at=395)
    (link,) = analyse(world.view()).of(Kind.CONTENT, payment.hash)
    assert link.candidates == {world.works[1].content}


def test_a_size_beside_a_payment_links_payment_and_content() -> None:
    """A line that names no content, but how many bytes were sent for which payment."""
    world, _anna, _bert, payment = two_buyers()
    world.works = [attrs.evolve(each, size=200_000 + n) for n, each in enumerate(world.works)]
    world.note("a storer", f"200001 bytes for {hexed(payment.hash)}")
    (link,) = analyse(world.view()).of(Kind.CONTENT, payment.hash)
    assert link.candidates == {world.works[1].content}


def test_the_exact_sum_links_account_and_payment() -> None:
    """Of the crowd, one account was given just the price and its gas."""
    world, _anna, _bert, _payment = two_buyers()
    exact = secrets.token_bytes(20)
    world.transfer(FAUCET, exact, PRICE + PRICE // 100, 440)
    world.deposit(exact, 450)
    payment = world.pay(500)
    (link,) = analyse(world.view()).of(Kind.DEPOSIT, payment.hash)
    assert link.candidates == {exact}


def test_who_submits_their_own_payment_is_seen() -> None:
    """The account that bought the voucher pays the gas of spending it."""
    world, _anna, bert, _payment = two_buyers()
    payment = world.pay(450, sender=bert)
    (link,) = analyse(world.view()).of(Kind.DEPOSIT, payment.hash)
    assert link.candidates == {bert}


def test_money_that_goes_on_to_a_known_address_links_creator() -> None:
    """A payee sends what it got to the address that the creator published."""
    world, _anna, _bert, payment = two_buyers()
    payee = payment.logs[0].data[12:32]
    world.transfer(payee, world.works[0].creator_marks[1], PRICE // 2, 700)
    (link,) = analyse(world.view()).of(Kind.CREATOR, payment.hash)
    assert link.candidates == {world.works[0].content}


def test_a_direct_payment_tells_all() -> None:
    """Who pays a creator's address is seen with account, creator, content and onion."""
    world, anna, _bert, _payment = two_buyers()
    direct = world.transfer(anna, world.works[0].creator_marks[1], PRICE, 700)
    found = analyse(world.view())
    assert found.of(Kind.DEPOSIT, direct.hash)[0].candidates == {anna}
    assert found.of(Kind.CONTENT, direct.hash)[0].candidates == {world.works[0].content}
    assert found.of(Kind.ONION, direct.hash)[0].candidates == {world.works[0].onion}
    assert found.of(Kind.BOUGHT, anna)[0].candidates == {world.works[0].content}


def test_tokens_are_found_in_every_dress() -> None:
    """In hex, in words of a call, in CBOR within CBOR, in a raw transaction, as a number."""
    mark = secrets.token_bytes(31) + b"\1"
    address = secrets.token_bytes(19) + b"\1"
    cbor = b"\x82\x58\x23\x81\x58\x20" + mark + b"\x01"  # [bstr of [mark], 1]
    assert token(mark) in tokens_of(f"x={mark.hex()};")
    assert token(address) in tokens_of(b"call" + bytes(12) + address + mark)
    assert token(mark) in tokens_of({"a": [("b", mark)]})
    assert token(mark) in tokens_of(int.from_bytes(mark, "big"))
    assert token(mark) in tokens_of(cbor)
    raw = b"\x02\xf6" + b"\x94" + address + b"\xa0" + mark
    assert {token(mark), token(address)} <= tokens_of(raw.hex())
