//! [`lockdown_tests::pam_client`] as a program, for stories to put onto their hosts.

fn main() {
    lockdown_tests::pam_client::main();
}
