"""What a node remembers from one run to the next: when it is read, and when it is written."""

import contextlib
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from bitsnode.config import Network
from bitsnode.dht.questions import Questions
from bitsnode.dht.records import RecordTable
from bitsnode.dht.repeating import Repeating
from bitsnode.dht.routing import RoutingTable
from bitsnode.dht.saved import Saved, SavedUnusable
from bitsnode.dht.watch import Watch
from bitsnode.errors import RemoteProtocolError
from bitsnode.wire.exchange import Refused
from bitsnode.wire.record import SignedRecord
from onion.address import OnionAddress
from onion.errors import AddressError

RECORDS_SECONDS: Final = 30.0  # between writes of records; a crash loses what came since
CONTACTS_SECONDS: Final = 300.0  # the same of contacts and anchors, which others know as well

_log = Logger()


class Memory:
    """The file of contacts and records.

    Args:
        clock: the time; its seconds are Unix time.
        saved: the file.
        table: contacts.
        records: kept for others.
        watch: anchors, and how many nodes there were.
    """

    def __init__(
        self,
        clock: IReactorTime,
        saved: Saved,
        table: RoutingTable,
        records: RecordTable,
        watch: Watch,
    ) -> None:
        self._clock = clock
        self._saved = saved
        self._table = table
        self._records = records
        self._watch = watch
        self._any_contacts = False
        self._repeating = (
            Repeating(clock, lambda: RECORDS_SECONDS, self._save_records),
            Repeating(clock, self._contacts_wait, self._save_contacts),
        )

    def load(self, questions: Questions, network: Network) -> list[OnionAddress]:
        """Take up what the last run left.

        Args:
            questions: read cards.
            network: what records must pay.

        Returns:
            The addresses to dial anew: of contacts whose cards have expired, anchors first.
        """
        now = self._clock.seconds()
        late = []
        for onion_key, data, since in self._saved.contacts():
            try:
                self._table.answered(questions.read(data), now, since or None)
            except RemoteProtocolError:
                with contextlib.suppress(AddressError):
                    late.append(OnionAddress.from_public_key(onion_key))
        contacts = {contact.card.card.onion_key for contact in self._table.contacts()}
        for anchor in self._saved.anchors():
            if anchor.onion_key not in contacts:
                with contextlib.suppress(AddressError):
                    late.insert(0, OnionAddress.from_public_key(anchor.onion_key))
        for data in self._saved.records():
            with contextlib.suppress(RemoteProtocolError, Refused):
                signed = SignedRecord.parse(data, puzzle_bits=network.record_bits, now=now)
                self._records.put(signed, now)
        self._records.take_changes()
        self._saved.replace_records(self._records.everything())
        return list(dict.fromkeys(late))

    def start(self) -> None:
        """Begin to write now and then."""
        for repeating in self._repeating:
            repeating.start()

    async def stop(self) -> None:
        """Write all, and close the file."""
        for repeating in self._repeating:
            repeating.stop()
        await self._save_records()
        await self._save_contacts()
        self._saved.close()

    def _contacts_wait(self) -> float:
        return CONTACTS_SECONDS if self._any_contacts else RECORDS_SECONDS

    async def _save_contacts(self) -> None:
        contacts = self._table.contacts()
        try:
            self._saved.save_contacts(contacts)
            self._saved.save_watch(self._watch.anchors, self._watch.nodes)
        except SavedUnusable as error:
            _log.error("Contacts could not be saved: {error}", error=str(error))
        self._any_contacts = bool(contacts)

    async def _save_records(self) -> None:
        self._records.expire(self._clock.seconds())
        changes = self._records.take_changes()
        try:
            self._saved.save_records(changes)
        except SavedUnusable as error:
            self._records.take_back(changes)
            _log.error("Records could not be saved: {error}", error=str(error))
