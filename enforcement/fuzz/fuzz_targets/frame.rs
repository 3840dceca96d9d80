//! No bytes make the frame decoders panic, and what they take comes back the same after another round.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lockdown_enforcement::{MAX_FRAME, Reply, Request};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(request) = Request::decode(bytes) {
        let frame = request.encode();
        assert!(frame.len() <= MAX_FRAME);
        assert_eq!(Request::decode(&frame), Ok(request));
    }
    if let Ok(reply) = Reply::decode(bytes) {
        let frame = reply.encode();
        assert!(frame.len() <= MAX_FRAME);
        assert_eq!(Reply::decode(&frame), Ok(reply));
    }
});
