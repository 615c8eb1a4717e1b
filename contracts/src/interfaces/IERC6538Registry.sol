// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

/// @title ERC-6538 registry of stealth meta-addresses
/// @notice Maps an account and a scheme to the stealth meta-address that others pay to.
///
/// WARNING: an entry ties the account to the meta-address in public. A node that wants neither
/// known to the other hands out its meta-address by other means.
interface IERC6538Registry {
    /// @notice An account set, or with empty bytes removed, its meta-address.
    event StealthMetaAddressSet(
        address indexed registrant, uint256 indexed schemeId, bytes stealthMetaAddress
    );

    /// @notice An account made its unused signatures invalid.
    event NonceIncremented(address indexed registrant, uint256 newNonce);

    /// @notice The signature is not the registrant's, or not over this entry and nonce.
    error ERC6538Registry__InvalidSignature();

    /// @notice Sets the caller's meta-address.
    function registerKeys(uint256 schemeId, bytes calldata stealthMetaAddress) external;

    /// @notice Sets the registrant's meta-address by their EIP-712 signature (ERC-1271 if the
    /// registrant is a contract) over the entry and {nonceOf} the registrant.
    function registerKeysOnBehalf(
        address registrant,
        uint256 schemeId,
        bytes calldata signature,
        bytes calldata stealthMetaAddress
    ) external;

    /// @notice Makes the caller's unused signatures invalid.
    function incrementNonce() external;

    // The standard's names.
    // slither-disable-start naming-convention

    /// @notice The EIP-712 domain separator.
    function DOMAIN_SEPARATOR() external view returns (bytes32);

    /// @notice The EIP-712 type of an entry.
    function ERC6538REGISTRY_ENTRY_TYPE_HASH() external view returns (bytes32);

    // slither-disable-end naming-convention

    /// @notice The registrant's meta-address for a scheme; empty if there is none.
    function stealthMetaAddressOf(address registrant, uint256 schemeId)
        external
        view
        returns (bytes memory);

    /// @notice The nonce that the registrant's next signature is over.
    function nonceOf(address registrant) external view returns (uint256);
}
