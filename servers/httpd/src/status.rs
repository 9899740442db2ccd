//! HTTP status codes that httpd sends, with their reason phrases.

/// A status code (RFC 9110 §15).
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
#[repr(u16)]
pub enum Status {
    /// 200
    Ok = 200,
    /// 201
    Created = 201,
    /// 202
    Accepted = 202,
    /// 204
    NoContent = 204,
    /// 304
    NotModified = 304,
    /// 400
    BadRequest = 400,
    /// 403
    Forbidden = 403,
    /// 404
    NotFound = 404,
    /// 405
    MethodNotAllowed = 405,
    /// 408
    RequestTimeout = 408,
    /// 413
    ContentTooLarge = 413,
    /// 414
    UriTooLong = 414,
    /// 429
    TooManyRequests = 429,
    /// 431
    HeaderFieldsTooLarge = 431,
    /// 500
    InternalServerError = 500,
    /// 501
    NotImplemented = 501,
    /// 502
    BadGateway = 502,
    /// 503
    ServiceUnavailable = 503,
    /// 504
    GatewayTimeout = 504,
    /// 505
    VersionNotSupported = 505,
}

impl Status {
    /// The number, 100..=599.
    pub fn code(self) -> u16 {
        self as u16
    }

    /// The reason phrase.
    pub fn reason(self) -> &'static str {
        match self {
            Status::Ok => "OK",
            Status::Created => "Created",
            Status::Accepted => "Accepted",
            Status::NoContent => "No Content",
            Status::NotModified => "Not Modified",
            Status::BadRequest => "Bad Request",
            Status::Forbidden => "Forbidden",
            Status::NotFound => "Not Found",
            Status::MethodNotAllowed => "Method Not Allowed",
            Status::RequestTimeout => "Request Timeout",
            Status::ContentTooLarge => "Content Too Large",
            Status::UriTooLong => "URI Too Long",
            Status::TooManyRequests => "Too Many Requests",
            Status::HeaderFieldsTooLarge => "Request Header Fields Too Large",
            Status::InternalServerError => "Internal Server Error",
            Status::NotImplemented => "Not Implemented",
            Status::BadGateway => "Bad Gateway",
            Status::ServiceUnavailable => "Service Unavailable",
            Status::GatewayTimeout => "Gateway Timeout",
            Status::VersionNotSupported => "HTTP Version Not Supported",
        }
    }

    /// Whether an answer with this status never has content (RFC 9110 §6.4.1).
    pub fn is_bodiless(self) -> bool {
        matches!(self, Status::NoContent | Status::NotModified)
    }
}
