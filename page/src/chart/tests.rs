//! Charts of extremes: every file is well-formed, and no value that has a place is moved by one that has none.

use super::*;

/// Checks that a chart is a tree of elements whose numbers are numbers.
fn well_formed(chart: &Chart) -> String {
    let file = chart.to_file();
    let (mut open, mut rest) = (Vec::new(), file.as_str());
    while let Some((_, tag)) = rest.split_once('<') {
        let (tag, after) = tag.split_once('>').expect("a tag ends");
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{file}"),
            None => open.push(tag.split_whitespace().next().expect("a tag has a name")),
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        rest = after;
    }
    assert!(open.is_empty(), "{open:?} {file}");
    let drawn = file.split_once("</style>").expect("a file has its style").1;
    for bad in ["NaN", "inf", "e-", "--"] {
        for attribute in drawn.split('"').skip(1).step_by(2) {
            assert!(attribute.starts_with("data:") || !attribute.contains(bad), "{attribute}");
        }
    }
    file
}

fn lines(scale: Scale, points: Vec<Point>) -> Lines {
    Lines {
        title: "a < b".to_owned(),
        x: Axis::new("x & y", scale),
        y: Axis::new("\"y\"", scale),
        series: vec![Series { name: "one".to_owned(), points }],
        guide: Guide::None,
    }
}

fn points(values: &[f64]) -> Vec<Point> {
    values
        .iter()
        .enumerate()
        .map(|(index, y)| Point::new(f64::from(u32::try_from(index).unwrap()), *y))
        .collect()
}

const EXTREMES: &[&[f64]] = &[
    &[],
    &[0.0],
    &[0.5, 0.5, 0.5],
    &[f64::NAN],
    &[f64::INFINITY, 1.0, f64::NEG_INFINITY],
    &[f64::MAX, f64::MIN],
    &[f64::MIN_POSITIVE, 5e-324, 0.0],
    &[1e300, -1e300, 0.0],
    &[1.0, 1.0 + f64::EPSILON],
    &[1e-12, 1.0, 1e12],
    &[-3.0, -2.0],
];

#[test]
fn extremes_are_charts_too() {
    for values in EXTREMES {
        for scale in [Scale::Linear, Scale::Logarithmic, Scale::Unit] {
            for guide in [
                Guide::None,
                Guide::Diagonal,
                Guide::At { x: 1.0, y: f64::NAN },
                Guide::At { x: 1.0, y: 0.5 },
            ] {
                let mut chart = lines(scale, points(values));
                chart.series[0].points.iter_mut().for_each(|point| point.band = Some((point.x, -point.x)));
                well_formed(&Lines { guide, ..chart }.draw());
            }
        }
        let bar = Bar { name: "<va>".to_owned(), shares: values.to_vec(), note: String::new() };
        well_formed(&Bars { title: "b".to_owned(), parts: vec!["a".to_owned(); 9], bars: vec![bar] }.draw());
    }
    well_formed(&Bars { title: String::new(), parts: Vec::new(), bars: Vec::new() }.draw());
    for (width, pixels) in [(0, 0), (0, 3), (3, 0), (3, 2), (3, 7), (1, 1)] {
        let outline = Outline { name: "o".to_owned(), inside: vec![true; 4] };
        let picture =
            Picture { title: "p".to_owned(), width, pixels: vec![9; pixels], outlines: vec![outline] };
        well_formed(&picture.draw());
    }
}

/// The places on the drawing of all lines.
fn drawn(chart: &Lines) -> Vec<String> {
    let file = well_formed(&chart.draw());
    let lines = file.split("<polyline points=\"").skip(1);
    lines.map(|line| line.split('"').next().unwrap().to_owned()).collect()
}

#[test]
fn what_has_no_place_leaves_a_gap_and_moves_nothing() {
    let whole = points(&[1.0, 2.0, 3.0, 4.0, 5.0]);
    let [line] = &drawn(&lines(Scale::Linear, whole.clone()))[..] else { panic!("one line") };
    for gap in [None, Some(f64::NAN), Some(f64::INFINITY)] {
        let mut holed = whole.clone();
        holed[2].y = gap;
        let places: Vec<_> = line.split(' ').collect();
        assert_eq!(drawn(&lines(Scale::Linear, holed)), [places[..2].join(" "), places[3..].join(" ")]);
    }
    // A point between two gaps is seen.
    let mut alone = whole.clone();
    (alone[1].y, alone[3].y) = (None, None);
    assert!(well_formed(&lines(Scale::Linear, alone).draw()).contains("class=\"point\""));
    let mut reversed = whole;
    reversed.reverse();
    let [again] = &drawn(&lines(Scale::Linear, reversed))[..] else { panic!("one line") };
    assert_eq!(again, line);
}

#[test]
fn zero_has_no_place_on_a_logarithmic_axis() {
    let [from_zero] = &drawn(&lines(Scale::Logarithmic, points(&[1.0, 2.0, 4.0])))[..] else {
        panic!("one line")
    };
    assert_eq!(from_zero.split(' ').count(), 2, "{from_zero}");
}

#[test]
fn parts_fill_a_bar_and_no_more() {
    let shares = vec![0.5, f64::NAN, 0.4, -1.0, f64::INFINITY, 0.3];
    let bar = Bar { name: "va".to_owned(), shares, note: "9".to_owned() };
    let file = well_formed(&Bars { title: String::new(), parts: Vec::new(), bars: vec![bar] }.draw());
    let widths = file.split("class=\"part").map(|part| part.rsplit("width=\"").next().unwrap());
    let widths: Vec<f64> = widths.filter_map(|width| width.split('"').next()?.parse().ok()).collect();
    assert_eq!(widths, [176.0, 0.0, 140.8, 0.0, 35.2, 0.0], "{file}");
}

#[test]
fn outlines_run_between_pixels() {
    let outline = Outline { name: String::new(), inside: vec![false, true, false, false] };
    let picture = Picture { title: String::new(), width: 2, pixels: vec![0; 4], outlines: vec![outline] };
    let file = well_formed(&picture.draw());
    assert!(file.contains("d=\"M1 0h1M1 0v1M2 0v1M1 1h1\""), "{file}");
    assert!(file.contains("href=\"data:image/png;base64,iVBORw0KGgo"), "{file}");
}
