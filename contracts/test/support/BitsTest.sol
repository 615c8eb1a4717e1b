// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {Vm} from "./Vm.sol";

/// @dev Assertions that say what differs. The tests need no more of a test library than this.
abstract contract BitsTest {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    error NotEqual(string what, uint256 found, uint256 expected);
    error NotEqualWords(string what, bytes32 found, bytes32 expected);
    error NotTrue(string what);

    function assertEq(uint256 found, uint256 expected, string memory what) internal pure {
        if (found != expected) revert NotEqual(what, found, expected);
    }

    function assertEq(address found, address expected, string memory what) internal pure {
        if (found != expected) {
            revert NotEqualWords(
                what, bytes32(uint256(uint160(found))), bytes32(uint256(uint160(expected)))
            );
        }
    }

    function assertEq(bytes32 found, bytes32 expected, string memory what) internal pure {
        if (found != expected) revert NotEqualWords(what, found, expected);
    }

    function assertEq(bytes memory found, bytes memory expected, string memory what) internal pure {
        if (keccak256(found) != keccak256(expected)) {
            revert NotEqualWords(what, keccak256(found), keccak256(expected));
        }
    }

    function assertTrue(bool holds, string memory what) internal pure {
        if (!holds) revert NotTrue(what);
    }

    /// @dev The next call must revert with exactly this error.
    function expectError(bytes4 selector) internal {
        vm.expectRevert(abi.encodeWithSelector(selector));
    }

    function expectError(bytes4 selector, uint256 first) internal {
        vm.expectRevert(abi.encodeWithSelector(selector, first));
    }

    function expectError(bytes4 selector, uint256 first, uint256 second) internal {
        vm.expectRevert(abi.encodeWithSelector(selector, first, second));
    }

    function expectError(bytes4 selector, address first) internal {
        vm.expectRevert(abi.encodeWithSelector(selector, first));
    }
}
