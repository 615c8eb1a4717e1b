// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {IERC6538Registry} from "./interfaces/IERC6538Registry.sol";

/// @title See {IERC6538Registry}
contract ERC6538Registry is IERC6538Registry, EIP712 {
    /// @inheritdoc IERC6538Registry
    bytes32 public constant override ERC6538REGISTRY_ENTRY_TYPE_HASH =
        keccak256("Erc6538RegistryEntry(uint256 schemeId,bytes stealthMetaAddress,uint256 nonce)");

    mapping(address registrant => mapping(uint256 schemeId => bytes)) private _metaAddresses;
    mapping(address registrant => uint256) private _nonces;

    constructor() EIP712("ERC6538Registry", "1.0") {}

    /// @inheritdoc IERC6538Registry
    function registerKeys(uint256 schemeId, bytes calldata stealthMetaAddress) external override {
        _set(msg.sender, schemeId, stealthMetaAddress);
    }

    /// @inheritdoc IERC6538Registry
    function registerKeysOnBehalf(
        address registrant,
        uint256 schemeId,
        bytes calldata signature,
        bytes calldata stealthMetaAddress
    ) external override {
        // The nonce is used up before the registrant's contract may be called.
        bytes32 entry = keccak256(
            abi.encode(
                ERC6538REGISTRY_ENTRY_TYPE_HASH,
                schemeId,
                keccak256(stealthMetaAddress),
                _nonces[registrant]++
            )
        );
        bytes32 digest = _hashTypedDataV4(entry);
        if (!SignatureChecker.isValidSignatureNow(registrant, digest, signature)) {
            revert ERC6538Registry__InvalidSignature();
        }
        _set(registrant, schemeId, stealthMetaAddress);
    }

    /// @inheritdoc IERC6538Registry
    function incrementNonce() external override {
        emit NonceIncremented(msg.sender, ++_nonces[msg.sender]);
    }

    /// @inheritdoc IERC6538Registry
    // The standard's name.
    // slither-disable-next-line naming-convention
    function DOMAIN_SEPARATOR() external view override returns (bytes32) {
        return _domainSeparatorV4();
    }

    /// @inheritdoc IERC6538Registry
    function stealthMetaAddressOf(address registrant, uint256 schemeId)
        external
        view
        override
        returns (bytes memory)
    {
        return _metaAddresses[registrant][schemeId];
    }

    /// @inheritdoc IERC6538Registry
    function nonceOf(address registrant) external view override returns (uint256) {
        return _nonces[registrant];
    }

    function _set(address registrant, uint256 schemeId, bytes calldata metaAddress) private {
        _metaAddresses[registrant][schemeId] = metaAddress;
        emit StealthMetaAddressSet(registrant, schemeId, metaAddress);
    }
}
