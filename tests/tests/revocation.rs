//! What is taken back at the collector is taken back at once: the next request is refused, although the collector
//! that runs keeps what it knows of devices in memory and another process took it back.

use offchannel_shared::wire::{CHECK_IN_PATH, ENROL_PATH, codes};
use offchannel_tests::device::{enrolment, json};
use offchannel_tests::{Device, Signer, Site};

/// How often each thing is taken back: the collector looks at its database once a second, which must not be what
/// helps.
const TIMES: usize = 12;

#[test]
fn a_device_that_is_retired_is_refused_at_its_next_request() {
    let site = Site::serving();
    let client = site.client();
    let (_, token) = site.token_with(&["--uses", "50"]);
    for time in 1..=TIMES {
        let device = Device::enrol(&client, &token);
        // It is in the collector's memory now.
        device.send_check_in(&client);
        let retired = site.run(&["device", "retire", device.id.as_str()]);
        assert_eq!(retired.code, 0, "{retired:#?}");
        let check_in = json(&device.check_in());
        let (status, code, message) = device.signer.post(&client, CHECK_IN_PATH, &check_in).refusal();
        assert_eq!((status, code.as_str()), (401, codes::DEVICE_UNKNOWN), "time {time}: {message}");
        assert!(message.contains("retired"), "{message}");
    }
}

#[test]
fn a_token_that_is_revoked_enrols_nobody_from_the_next_request_on() {
    let site = Site::serving();
    let client = site.client();
    for time in 1..=TIMES {
        let (id, token) = site.token_with(&["--uses", "50"]);
        let device = Device::enrol(&client, &token);
        assert_eq!(site.run(&["token", "revoke", &id]).code, 0);
        let signer = Signer::unknown();
        let (status, code, message) =
            signer.post(&client, ENROL_PATH, &json(&enrolment(&signer, &token))).refusal();
        assert_eq!((status, code.as_str()), (403, codes::TOKEN_REFUSED), "time {time}: {message}");
        // Those that were let in stay.
        device.send_check_in(&client);
    }
}
