// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {ERC5564Announcer} from "../src/ERC5564Announcer.sol";
import {IERC5564Announcer} from "../src/interfaces/IERC5564Announcer.sol";
import {BitsTest} from "./support/BitsTest.sol";

contract ERC5564AnnouncerTest is BitsTest {
    /// @dev Whatever is announced is in the event, under the caller's name.
    function testFuzz_announces(
        uint256 schemeId,
        address stealthAddress,
        address caller,
        bytes calldata ephemeralPubKey,
        bytes calldata metadata
    ) public {
        ERC5564Announcer announcer = new ERC5564Announcer();
        vm.expectEmit(address(announcer));
        emit IERC5564Announcer.Announcement(
            schemeId, stealthAddress, caller, ephemeralPubKey, metadata
        );
        vm.prank(caller);
        announcer.announce(schemeId, stealthAddress, ephemeralPubKey, metadata);
    }

    /// @dev The event is the one that other wallets look for.
    function test_event_is_canonical() public pure {
        assertEq(
            IERC5564Announcer.Announcement.selector,
            keccak256("Announcement(uint256,address,address,bytes,bytes)"),
            "topic"
        );
    }
}
