// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {ERC6538Registry} from "../src/ERC6538Registry.sol";
import {IERC6538Registry} from "../src/interfaces/IERC6538Registry.sol";
import {BitsTest} from "./support/BitsTest.sol";

/// @dev An account that is a contract, and accepts one digest.
contract ContractAccount {
    bytes32 private _digest;

    function accept(bytes32 digest) external {
        _digest = digest;
    }

    function isValidSignature(bytes32 digest, bytes calldata) external view returns (bytes4) {
        return digest == _digest ? this.isValidSignature.selector : bytes4(0);
    }
}

contract ERC6538RegistryTest is BitsTest {
    uint256 private constant KEY = 0xa11ce;
    bytes private constant META = hex"02aa03bb";

    ERC6538Registry private registry;
    address private alice;

    function setUp() public {
        registry = new ERC6538Registry();
        alice = vm.addr(KEY);
    }

    /// @dev Each account sets its own entry, changes it and removes it.
    function testFuzz_registers(address registrant, uint256 schemeId, bytes calldata meta) public {
        vm.expectEmit(address(registry));
        emit IERC6538Registry.StealthMetaAddressSet(registrant, schemeId, meta);
        vm.prank(registrant);
        registry.registerKeys(schemeId, meta);
        assertEq(registry.stealthMetaAddressOf(registrant, schemeId), meta, "set");
        vm.prank(registrant);
        registry.registerKeys(schemeId, "");
        assertEq(registry.stealthMetaAddressOf(registrant, schemeId), "", "removed");
    }

    /// @dev Anyone may bring a signed entry, once.
    function test_registers_on_behalf_once() public {
        bytes memory signature = sign(digestOf(1, META, 0));
        vm.expectEmit(address(registry));
        emit IERC6538Registry.StealthMetaAddressSet(alice, 1, META);
        registry.registerKeysOnBehalf(alice, 1, signature, META);
        assertEq(registry.stealthMetaAddressOf(alice, 1), META, "set");
        assertEq(registry.nonceOf(alice), 1, "nonce");
        expectError(IERC6538Registry.ERC6538Registry__InvalidSignature.selector);
        registry.registerKeysOnBehalf(alice, 1, signature, META);
    }

    /// @dev Another registrant, scheme or entry, a used nonce or another chain: refused.
    function test_foreign_signatures_are_refused() public {
        bytes memory signature = sign(digestOf(1, META, 0));
        expectRefused(address(this), 1, signature, META);
        expectRefused(alice, 2, signature, META);
        expectRefused(alice, 1, signature, hex"02aa03bc");
        expectRefused(alice, 1, "", META);
        vm.chainId(5);
        expectRefused(alice, 1, signature, META);
        vm.chainId(31337);
        vm.expectEmit(address(registry));
        emit IERC6538Registry.NonceIncremented(alice, 1);
        vm.prank(alice);
        registry.incrementNonce();
        expectRefused(alice, 1, signature, META);
        assertEq(registry.nonceOf(alice), 1, "nonce");
    }

    /// @dev A contract signs as ERC-1271 has it.
    function test_contract_accounts_sign() public {
        ContractAccount account = new ContractAccount();
        expectRefused(address(account), 1, "", META);
        account.accept(digestOf(1, META, 0));
        registry.registerKeysOnBehalf(address(account), 1, "", META);
        assertEq(registry.stealthMetaAddressOf(address(account), 1), META, "set");
    }

    /// @dev Type, domain and topics are those of the standard.
    function test_constants_are_canonical() public view {
        assertEq(
            registry.ERC6538REGISTRY_ENTRY_TYPE_HASH(),
            keccak256(
                "Erc6538RegistryEntry(uint256 schemeId,bytes stealthMetaAddress,uint256 nonce)"
            ),
            "type"
        );
        assertEq(
            registry.DOMAIN_SEPARATOR(),
            keccak256(
                abi.encode(
                    keccak256(
                        "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
                    ),
                    keccak256("ERC6538Registry"),
                    keccak256("1.0"),
                    block.chainid,
                    address(registry)
                )
            ),
            "domain"
        );
        assertEq(
            IERC6538Registry.StealthMetaAddressSet.selector,
            keccak256("StealthMetaAddressSet(address,uint256,bytes)"),
            "topic"
        );
    }

    function expectRefused(
        address registrant,
        uint256 schemeId,
        bytes memory signature,
        bytes memory meta
    ) internal {
        expectError(IERC6538Registry.ERC6538Registry__InvalidSignature.selector);
        registry.registerKeysOnBehalf(registrant, schemeId, signature, meta);
    }

    function digestOf(uint256 schemeId, bytes memory meta, uint256 nonce)
        internal
        view
        returns (bytes32)
    {
        bytes32 entry = keccak256(
            abi.encode(registry.ERC6538REGISTRY_ENTRY_TYPE_HASH(), schemeId, keccak256(meta), nonce)
        );
        return keccak256(abi.encodePacked(hex"1901", registry.DOMAIN_SEPARATOR(), entry));
    }

    function sign(bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(KEY, digest);
        return abi.encodePacked(r, s, v);
    }
}
