# State documents of lockdown as options of NixOS. The program comes from an overlay of one's own, as `pkgs.lockdown`; the
# lines of PAM that it needs are in pam_lockdown(8).
{ config, lib, pkgs, ... }:

let
  cfg = config.services.lockdown;
  toml = pkgs.formats.toml { };
  check = name: file: pkgs.runCommand "${name}.toml" { } ''
    ${cfg.package}/bin/lockdownctl validate ${file}
    cp ${file} $out
  '';
  document = name: value: check name (toml.generate "${name}.toml" ({ version = 1; } // value));
in
{
  options.services.lockdown = {
    enable = lib.mkEnableOption "lockdown, which locks accounts and keeps them out";
    package = lib.mkOption {
      type = lib.types.package;
      default = pkgs.lockdown;
      description = "The package.";
    };
    documents = lib.mkOption {
      type = lib.types.attrsOf toml.type;
      default = { };
      example = { people.account = [{ name = "alice"; state = "locked"; }]; };
      description = "State documents by name, see lockdown-state(5). A mistake in one fails the build.";
    };
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];
    environment.etc = lib.mapAttrs'
      (name: value: lib.nameValuePair "lockdown/state.d/${name}.toml" { source = document name value; })
      cfg.documents;

    services.dbus.packages = [ cfg.package ];
    systemd.packages = [ cfg.package ];
    systemd.tmpfiles.packages = [ cfg.package ];
    systemd.sockets.lockdownd.wantedBy = [ "sockets.target" ];
    systemd.services.lockdownd = {
      wantedBy = [ "multi-user.target" ];
      # A new document is read by a reload, which ends no watch over sessions.
      reloadTriggers = lib.mapAttrsToList document cfg.documents;
    };
  };
}
