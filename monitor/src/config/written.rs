//! The first step: what the user wrote, typed, each value with its place; nothing is known of the catalog here.

use toml::de::DeTable;

use super::log::{At, Log, Place};
use super::section::{self, Field, Section};

/// The whole file.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) systems: Systems,
    pub(super) web: Web,
    pub(super) status: Status,
    pub(super) kernel: Kernel,
    pub(super) state: State,
    pub(super) probe: Option<Probe>,
}

/// The `[[system]]` tables; `list` is absent where they are no array of tables, which has been reported.
#[derive(Debug)]
pub(super) struct Systems {
    pub(super) place: Place,
    pub(super) list: Option<Vec<System>>,
}

/// One `[[system]]`.
#[derive(Debug)]
pub(super) struct System {
    pub(super) place: Place,
    pub(super) name: Field<String>,
    pub(super) product: Field<String>,
    pub(super) roles: Field<Vec<At<String>>>,
    pub(super) sections: Field<Vec<At<String>>>,
    pub(super) scenario: Field<String>,
    pub(super) options: Field<Vec<At<String>>>,
    /// By role.
    pub(super) peers: Vec<(At<String>, Vec<At<String>>)>,
    /// By flow id.
    pub(super) ports: Vec<(At<String>, At<i64>)>,
    pub(super) expect: Vec<Expect>,
}

/// One `[[system.expect]]`.
#[derive(Debug)]
pub(super) struct Expect {
    pub(super) place: Place,
    pub(super) flow: Field<String>,
    pub(super) within: Field<String>,
    pub(super) schedule: Field<Schedule>,
}

/// `schedule` of a `[[system.expect]]`.
#[derive(Debug)]
pub(super) struct Schedule {
    pub(super) place: Place,
    pub(super) days: Field<Vec<At<String>>>,
    pub(super) from: Field<String>,
    pub(super) to: Field<String>,
    pub(super) zone: Field<String>,
}

/// `[web]`.
#[derive(Debug)]
pub(super) struct Web {
    pub(super) listen: Field<String>,
    pub(super) config_file: Field<String>,
}

/// `[status]`.
#[derive(Debug)]
pub(super) struct Status {
    pub(super) socket: Field<String>,
    pub(super) mode: Field<String>,
    pub(super) group: Field<String>,
}

/// `[kernel]`.
#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) flows: Field<i64>,
    pub(super) disable: Field<Vec<At<String>>>,
    pub(super) pin: Field<String>,
}

/// `[state]`.
#[derive(Debug)]
pub(super) struct State {
    pub(super) file: Field<String>,
}

/// `[probe]`.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) place: Place,
    pub(super) every: Field<String>,
}

impl Document {
    pub(super) fn read(table: &DeTable<'_>, log: &mut Log<'_>) -> Self {
        let mut top = Section::document(table);
        let read = Self {
            systems: Systems::read(&mut top, log),
            web: Web::read(top.section("web", log), log),
            status: Status::read(top.section("status", log), log),
            kernel: Kernel::read(top.section("kernel", log), log),
            state: State::read(top.section("state", log), log),
            probe: top.section("probe", log).map(|section| Probe::read(section, log)),
        };
        top.finish(log);
        read
    }
}

impl Systems {
    fn read(top: &mut Section<'_, '_>, log: &mut Log<'_>) -> Self {
        let nowhere = Place { key: "system".to_owned(), span: None };
        let (place, sections) = match top.sections("system", log) {
            Field::Absent => (nowhere, Some(Vec::new())),
            Field::Invalid => (nowhere, None),
            Field::Given(sections) => (sections.place, Some(sections.value)),
        };
        let list = sections.map(|sections| {
            let read = |section| System::read(section, log);
            sections.into_iter().map(read).collect()
        });
        Self { place, list }
    }
}

impl System {
    fn read(mut section: Section<'_, '_>, log: &mut Log<'_>) -> Self {
        let read = Self {
            place: section.place().clone(),
            name: section.string("name", log),
            product: section.string("product", log),
            roles: section.strings("roles", log),
            sections: section.strings("sections", log),
            scenario: section.string("scenario", log),
            options: section.strings("options", log),
            peers: read_peers(section.section("peers", log), log),
            ports: read_ports(section.section("ports", log), log),
            expect: read_expect(&mut section, log),
        };
        section.finish(log);
        read
    }
}

fn read_peers(
    section: Option<Section<'_, '_>>,
    log: &mut Log<'_>,
) -> Vec<(At<String>, Vec<At<String>>)> {
    let mut peers = Vec::new();
    for (role, value, place) in section.iter().flat_map(Section::entries) {
        let list = section::strings(value, place, log);
        peers.push((role, list.map(|list| list.value).unwrap_or_default()));
    }
    peers
}

fn read_ports(section: Option<Section<'_, '_>>, log: &mut Log<'_>) -> Vec<(At<String>, At<i64>)> {
    let mut ports = Vec::new();
    for (flow, value, place) in section.iter().flat_map(Section::entries) {
        let port = section::integer(value, place, log);
        ports.extend(port.map(|port| (flow, port)));
    }
    ports
}

fn read_expect(system: &mut Section<'_, '_>, log: &mut Log<'_>) -> Vec<Expect> {
    let Field::Given(sections) = system.sections("expect", log) else {
        return Vec::new();
    };
    let mut expect = Vec::new();
    for mut section in sections.value {
        expect.push(Expect {
            place: section.place().clone(),
            flow: section.string("flow", log),
            within: section.string("within", log),
            schedule: Schedule::read(&mut section, log),
        });
        section.finish(log);
    }
    expect
}

impl Schedule {
    fn read(expect: &mut Section<'_, '_>, log: &mut Log<'_>) -> Field<Self> {
        let help = "write `schedule = { from = \"22:00\", to = \"06:00\" }`";
        let (mut section, place) = match expect.table("schedule", help, log) {
            Field::Absent => return Field::Absent,
            Field::Invalid => return Field::Invalid,
            Field::Given(At { value, place }) => (value, place),
        };
        let read = Self {
            place: place.clone(),
            days: section.strings("days", log),
            from: section.string("from", log),
            to: section.string("to", log),
            zone: section.string("zone", log),
        };
        section.finish(log);
        Field::Given(At { value: read, place })
    }
}

impl Web {
    fn read(section: Option<Section<'_, '_>>, log: &mut Log<'_>) -> Self {
        let Some(mut section) = section else {
            return Self { listen: Field::Absent, config_file: Field::Absent };
        };
        let read = Self {
            listen: section.string("listen", log),
            config_file: section.string("config_file", log),
        };
        section.finish(log);
        read
    }
}

impl Status {
    fn read(section: Option<Section<'_, '_>>, log: &mut Log<'_>) -> Self {
        let Some(mut section) = section else {
            return Self { socket: Field::Absent, mode: Field::Absent, group: Field::Absent };
        };
        let read = Self {
            socket: section.string("socket", log),
            mode: section.string("mode", log),
            group: section.string("group", log),
        };
        section.finish(log);
        read
    }
}

impl Kernel {
    fn read(section: Option<Section<'_, '_>>, log: &mut Log<'_>) -> Self {
        let Some(mut section) = section else {
            return Self { flows: Field::Absent, disable: Field::Absent, pin: Field::Absent };
        };
        let flows = section.integer("flows", log);
        let disable = section.strings("disable", log);
        let pin = section.string("pin", log);
        section.finish(log);
        Self { flows, disable, pin }
    }
}

impl State {
    fn read(section: Option<Section<'_, '_>>, log: &mut Log<'_>) -> Self {
        let Some(mut section) = section else {
            return Self { file: Field::Absent };
        };
        let file = section.string("file", log);
        section.finish(log);
        Self { file }
    }
}

impl Probe {
    fn read(mut section: Section<'_, '_>, log: &mut Log<'_>) -> Self {
        let place = section.place().clone();
        let every = section.string("every", log);
        section.finish(log);
        Self { place, every }
    }
}
