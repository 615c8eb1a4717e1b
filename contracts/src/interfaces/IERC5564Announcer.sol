// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

/// @title ERC-5564 announcer
/// @notice Says that something was sent to a stealth address, so that its owner can find it.
interface IERC5564Announcer {
    /// @notice Something was sent to a stealth address.
    /// @param schemeId 1 is secp256k1 with view tags.
    /// @param stealthAddress The one-time address.
    /// @param caller Who announced it. WARNING: anyone can announce anything; only what arrived at
    /// the stealth address counts.
    /// @param ephemeralPubKey Ephemeral public key of the sender; 33 bytes in scheme 1.
    /// @param metadata First byte is the view tag. Whatever else is here is public.
    event Announcement(
        uint256 indexed schemeId,
        address indexed stealthAddress,
        address indexed caller,
        bytes ephemeralPubKey,
        bytes metadata
    );

    /// @notice Emits an {Announcement}.
    function announce(
        uint256 schemeId,
        address stealthAddress,
        bytes calldata ephemeralPubKey,
        bytes calldata metadata
    ) external;
}
