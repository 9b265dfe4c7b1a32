//! What a request is refused with: a code, as Core Lightning numbers them, and a text.

use core::fmt;

/// The kinds of refusal. Their numbers are Core Lightning's.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorCode {
    /// -32600: not a request, or one that cannot be carried out as things stand.
    InvalidRequest,
    /// -32601: no such method.
    MethodNotFound,
    /// -32602: a parameter is missing, unknown or wrong.
    InvalidParams,
    /// -1: the method failed.
    Failed,
    /// -3: a plugin did not do what it should.
    PluginError,
    /// -4: a plugin ended before it answered.
    PluginTerminated,
    /// 204: `sendonion` finds no channel to the first hop, as there are none.
    TryOtherRoute,
    /// 400: `connect` knows no address of the peer.
    NoKnownAddress,
    /// 401: `connect` got through to none of the peer's addresses.
    AllAddressesFailed,
    /// 402: `connect` got through, and the connection ended before the peer counted as connected.
    DisconnectedDuring,
    /// 1200: `deldatastore` finds nothing under the key.
    DatastoreDeleteMissing,
    /// 1201: `deldatastore` finds another generation.
    DatastoreDeleteGeneration,
    /// 1202: `datastore` finds a value where there must be none.
    DatastoreExists,
    /// 1203: `datastore` finds no value where there must be one.
    DatastoreMissing,
    /// 1204: `datastore` finds another generation.
    DatastoreGeneration,
    /// 1205: `datastore` finds values below the key.
    DatastoreHasChildren,
    /// 1206: `datastore` finds a value above the key.
    DatastoreHasParent,
    /// 1301: `checkmessage` does not know the node that a message was signed by.
    SignerNotFound,
}

impl ErrorCode {
    /// The number on the wire.
    pub const fn number(self) -> i32 {
        match self {
            ErrorCode::InvalidRequest => -32600,
            ErrorCode::MethodNotFound => -32601,
            ErrorCode::InvalidParams => -32602,
            ErrorCode::Failed => -1,
            ErrorCode::PluginError => -3,
            ErrorCode::PluginTerminated => -4,
            ErrorCode::TryOtherRoute => 204,
            ErrorCode::NoKnownAddress => 400,
            ErrorCode::AllAddressesFailed => 401,
            ErrorCode::DisconnectedDuring => 402,
            ErrorCode::DatastoreDeleteMissing => 1200,
            ErrorCode::DatastoreDeleteGeneration => 1201,
            ErrorCode::DatastoreExists => 1202,
            ErrorCode::DatastoreMissing => 1203,
            ErrorCode::DatastoreGeneration => 1204,
            ErrorCode::DatastoreHasChildren => 1205,
            ErrorCode::DatastoreHasParent => 1206,
            ErrorCode::SignerNotFound => 1301,
        }
    }
}

/// The refusal of one request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RpcError {
    /// Its kind.
    pub code: ErrorCode,
    /// What was wrong, where, and what to do.
    pub message: String,
    /// What a program can use of it: a JSON object.
    pub data: Option<String>,
    /// A plugin's own error object, which is passed on as it is; code and text only stand for it then.
    pub verbatim: Option<String>,
}

impl RpcError {
    /// A refusal with this text.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> RpcError {
        RpcError { code, message: message.into(), data: None, verbatim: None }
    }

    /// A plugin's error, to be passed on as the plugin wrote it.
    pub(crate) fn verbatim(error: String) -> RpcError {
        RpcError { verbatim: Some(error), ..RpcError::new(ErrorCode::PluginError, "an error of a plugin") }
    }

    /// The same with an object for programs.
    #[must_use]
    pub(crate) fn with_data(self, data: String) -> RpcError {
        RpcError { data: Some(data), ..self }
    }

    pub(crate) fn invalid_request(message: impl fmt::Display) -> RpcError {
        RpcError::new(ErrorCode::InvalidRequest, message.to_string())
    }

    pub(crate) fn invalid_params(message: impl fmt::Display) -> RpcError {
        RpcError::new(ErrorCode::InvalidParams, message.to_string())
    }

    pub(crate) fn method_not_found(message: impl fmt::Display) -> RpcError {
        RpcError::new(ErrorCode::MethodNotFound, message.to_string())
    }

    pub(crate) fn failed(message: impl fmt::Display) -> RpcError {
        RpcError::new(ErrorCode::Failed, message.to_string())
    }
}
